//! Whether the tables of the existing system are what triggers can watch and the statements can read.

use std::fmt;

use tokio_postgres::{Client, Row};

use crate::store::database::{Attempt, Store, StoreError};

/// What is needed of one of the tables.
struct Table {
    name: &'static str,
    /// Which kinds of relation serve, as `pg_class.relkind` has them.
    kinds: &'static str,
    columns: &'static [(&'static str, Kind)],
}

/// The type of a column. Where a parameter is compared with it or a value is read from it, no other will do.
#[derive(Clone, Copy)]
enum Kind {
    Bigint,
    /// Only ever joined and sorted by.
    Whole,
    Integer,
    Text,
    Amount,
    Boolean,
    Time,
}

impl Kind {
    /// The names of the types that serve, and how to say so.
    fn types(self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::Bigint => (&["int8"], "bigint"),
            Self::Whole => (&["int8", "int4", "int2"], "bigint or integer"),
            Self::Integer => (&["int4"], "integer"),
            Self::Text => (&["text", "varchar", "citext"], "text or character varying"),
            Self::Amount => (&["numeric"], "numeric"),
            Self::Boolean => (&["bool"], "boolean"),
            Self::Time => (&["timestamptz"], "timestamp with time zone"),
        }
    }
}

use Kind::{Amount, Bigint, Boolean, Integer, Text, Time, Whole};

/// An ordinary table alone has triggers that fire for every change of its rows, statement by statement.
const WATCHED: &str = "r";

/// What tells which transaction wrote a row: no view does.
const STORED: &str = "rp";

/// Whatever can be read.
const READ: &str = "rpvmf";

static TABLES: [Table; 5] = [
    Table {
        name: "accounts_user",
        kinds: READ,
        columns: &[
            ("id", Bigint),
            ("username", Text),
            ("password", Text),
            ("first_name", Text),
            ("last_name", Text),
            ("role", Text),
            ("is_active", Boolean),
        ],
    },
    Table {
        name: "inventory_medicine",
        kinds: READ,
        columns: &[("id", Whole), ("name", Text), ("strength", Text), ("dosage_form", Text)],
    },
    Table {
        name: "orders_order",
        kinds: WATCHED,
        columns: &[
            ("id", Bigint),
            ("order_number", Text),
            ("sales_rep_id", Bigint),
            ("customer_name", Text),
            ("customer_phone", Text),
            ("customer_address", Text),
            ("status", Text),
            ("payment_status", Text),
            ("subtotal", Amount),
            ("tax_amount", Amount),
            ("shipping_cost", Amount),
            ("discount_amount", Amount),
            ("total_amount", Amount),
            ("delivery_method", Text),
            ("delivery_address", Text),
            ("delivery_instructions", Text),
            ("prescription_required", Boolean),
            ("prescription_verified", Boolean),
            ("verified_by_id", Whole),
            ("verified_at", Time),
            ("confirmed_at", Time),
            ("shipped_at", Time),
            ("delivered_at", Time),
            ("created_at", Time),
            ("updated_at", Time),
            ("customer_notes", Text),
            ("internal_notes", Text),
        ],
    },
    Table {
        name: "orders_orderitem",
        kinds: WATCHED,
        columns: &[
            ("id", Whole),
            ("order_id", Bigint),
            ("medicine_id", Whole),
            ("quantity", Integer),
            ("unit", Text),
            ("unit_price", Amount),
            ("total_price", Amount),
            ("prescription_notes", Text),
        ],
    },
    Table {
        name: "orders_orderstatushistory",
        kinds: STORED,
        columns: &[
            ("id", Whole),
            ("order_id", Bigint),
            ("old_status", Text),
            ("new_status", Text),
            ("old_payment_status", Text),
            ("new_payment_status", Text),
            ("notes", Text),
            ("changed_by_id", Bigint),
            ("changed_at", Time),
        ],
    },
];

/// The columns of one of the tables that statements read or write.
pub(in crate::store) fn columns_of(table: &str) -> impl Iterator<Item = &'static str> {
    let table = TABLES.iter().filter(move |one| one.name == table);
    table.flat_map(|table| table.columns.iter().map(|(column, _)| *column))
}

impl Store {
    /// What of the OnCare tables is not what the service needs: of each column that a statement reads or writes, by name.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn unsuitable_tables(&self) -> Result<Vec<String>, StoreError> {
        let client = self.client().await?;
        if missing(&client).await?.len() == TABLES.len() {
            return Ok(vec![Nothing::of(&client).await?.to_string()]);
        }
        problems(&client).await
    }

    /// The same as it was at most some seconds ago, for who asks often.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn recently_unsuitable_tables(&self) -> Result<Vec<String>, StoreError> {
        self.table_faults.or(self.unsuitable_tables()).await
    }

    /// The tables of which row-level security may hide rows from this role.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn hidden_tables(&self) -> Result<Vec<String>, StoreError> {
        hidden(&*self.client().await?).await
    }
}

/// What is done about the OnCare tables where there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum HostTables {
    /// The database is another one than was meant, or is not ready.
    MustBeThere,
    /// They are made.
    MayBeMade,
}

/// A database without any of the tables.
struct Nothing {
    database: String,
    has_django: bool,
}

impl Nothing {
    async fn of(client: &Client) -> Result<Self, StoreError> {
        let row =
            client.query_one("select current_database()::text", &[]).await.attempt("ask for the database's name")?;
        Ok(Self { database: row.get(0), has_django: has_django(client).await? })
    }
}

impl fmt::Display for Nothing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = TABLES.iter().map(|table| format!("public.{}", table.name)).collect();
        let (database, names) = (&self.database, names.join(", "));
        write!(
            f,
            "the database {database:?} has none of the OnCare tables: {names} are missing. If that is not the shop's database, \
                   mend the name in --database-url; "
        )?;
        if self.has_django {
            f.write_str("Django manages it (it has a table django_migrations): run the shop's own migrations first")
        } else {
            f.write_str("if it is to be one that no other application manages, run oncare-live migrate --create-tables")
        }
    }
}

/// Whether Django manages the database.
pub(in crate::store) async fn has_django(client: &Client) -> Result<bool, StoreError> {
    let sql = "select exists (select from pg_class where relnamespace = to_regnamespace('public') and relname = 'django_migrations')";
    Ok(client.query_one(sql, &[]).await.attempt("look for Django")?.get(0))
}

/// Whether the tables are there, or are to be made.
///
/// # Errors
/// If they are not there and may not be made, are there in part only, or are not what they must be: nothing may be attached to them
/// then.
pub(in crate::store) async fn check(client: &Client, tables: HostTables) -> Result<bool, StoreError> {
    let missing = missing(client).await?;
    if missing.len() == TABLES.len() {
        let nothing = Nothing::of(client).await?;
        if tables == HostTables::MayBeMade && !nothing.has_django {
            return Ok(false);
        }
        return Err(StoreError::Unsuitable(nothing.to_string()));
    }
    if !missing.is_empty() {
        return Err(StoreError::Unsuitable(format!(
            "this database has only a part of the OnCare tables: public.{} is missing. Use a complete OnCare database, or \
             an empty one",
            missing.join(", public.")
        )));
    }
    let mut problems = problems(client).await?;
    let hidden = hidden(client).await?;
    if !hidden.is_empty() {
        problems.push(format!(
            "row-level security may hide rows of {} from this role: run this as the tables' owner, or another role that sees \
             all rows",
            hidden.join(", ")
        ));
    }
    if problems.is_empty() {
        return Ok(true);
    }
    Err(StoreError::Unsuitable(format!("oncare-live can't be attached to these tables: {}", problems.join("; "))))
}

fn names() -> Vec<&'static str> {
    TABLES.iter().map(|table| table.name).collect()
}

/// The names of the tables that are not there.
async fn missing(client: &Client) -> Result<Vec<String>, StoreError> {
    let sql = "select t from unnest($1::text[]) t where to_regclass('public.' || t) is null";
    let rows = client.query(sql, &[&names()]).await.attempt("look for the OnCare tables")?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// What is wrong with those of the tables that are there, and with those that are not.
pub(in crate::store) async fn problems(client: &Client) -> Result<Vec<String>, StoreError> {
    let relations = client
        .query(
            "select c.relname::text, c.relkind::text, c.relispartition,
                 c.relhassubclass and exists (select from pg_inherits i where i.inhparent = c.oid),
                 exists (select from pg_inherits i where i.inhrelid = c.oid)
             from pg_class c where c.relnamespace = to_regnamespace('public') and c.relname = any ($1::text[])",
            &[&names()],
        )
        .await
        .attempt("look at the OnCare tables")?;
    // a domain is what it is made of; and somebody's own type is not the system's of that name
    let columns = client
        .query(
            "select c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod),
                 case when coalesce(base.typnamespace, t.typnamespace) = 'pg_catalog'::regnamespace
                         or coalesce(base.typname, t.typname) = 'citext'
                     then coalesce(base.typname, t.typname)::text else '' end
             from pg_class c
             join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
             join pg_type t on t.oid = a.atttypid
             left join pg_type base on base.oid = t.typbasetype
             where c.relnamespace = to_regnamespace('public') and c.relname = any ($1::text[])",
            &[&names()],
        )
        .await
        .attempt("look at the OnCare tables' columns")?;
    let problems = TABLES.iter().flat_map(|table| {
        let relation = relations.iter().find(|row| row.get::<_, &str>(0) == table.name);
        match relation.map(|row| wrong_relation(table, row)) {
            None => vec![format!("public.{} is missing", table.name)],
            Some(Wrong::Altogether(problem)) => vec![problem],
            Some(Wrong::Possibly(problem)) => problem.into_iter().chain(wrong_columns(table, &columns)).collect(),
        }
    });
    Ok(problems.collect())
}

/// What is wrong with a table but for its columns.
enum Wrong {
    /// So much that its columns do not matter.
    Altogether(String),
    /// Something, if anything.
    Possibly(Option<String>),
}

fn wrong_relation(table: &Table, row: &Row) -> Wrong {
    let (kind, is_partition): (&str, bool) = (row.get(1), row.get(2));
    let (has_children, is_child): (bool, bool) = (row.get(3), row.get(4));
    if !table.kinds.contains(kind) {
        return Wrong::Altogether(format!("public.{} is {}", table.name, refusal(kind, table.kinds)));
    }
    let relation = match (is_partition, has_children, is_child) {
        _ if table.kinds != WATCHED => None,
        (true, _, _) => Some("a partition of another table"),
        (false, true, _) => Some("the parent of others that inherit from it"),
        (false, false, true) => Some("a child that inherits from another table"),
        (false, false, false) => None,
    };
    Wrong::Possibly(relation.map(|relation| {
        format!(
            "public.{} is {relation}: changes made through one table go unrecorded at the other. It must be a table by itself",
            table.name
        )
    }))
}

fn refusal(kind: &str, served_by: &str) -> String {
    let what = match kind {
        "p" => "partitioned: moves between partitions and changes made to one partition go unrecorded",
        "f" => "a foreign table: what other clients of its server change goes unrecorded",
        "v" => "a view: what changes its tables goes unrecorded",
        "m" => "a materialized view: it does not change with its tables",
        _ => "no table",
    };
    let needed = if served_by == WATCHED { "It must be an ordinary table" } else { "It must be a table" };
    format!("{what}. {needed}")
}

fn wrong_columns(table: &Table, columns: &[Row]) -> Vec<String> {
    let name = format!("public.{}", table.name);
    let of_table: Vec<&Row> = columns.iter().filter(|row| row.get::<_, &str>(0) == table.name).collect();
    let mut missing = Vec::new();
    let mut wrong = Vec::new();
    for (column, kind) in table.columns {
        let (types, served_by) = kind.types();
        match of_table.iter().find(|row| row.get::<_, &str>(1) == *column) {
            None => missing.push(*column),
            Some(row) if types.contains(&row.get::<_, &str>(3)) => {}
            Some(row) => {
                let found: &str = row.get(2);
                wrong.push(format!("{name}.{column} is {found}, and must be {served_by}"));
            }
        }
    }
    if !missing.is_empty() {
        let what = if missing.len() == 1 { "the column" } else { "the columns" };
        wrong.insert(0, format!("{name} lacks {what} {}", missing.join(", ")));
    }
    wrong
}

/// A policy that lets the role see every row hides none, unless a restrictive one does.
pub(in crate::store) async fn hidden(client: &Client) -> Result<Vec<String>, StoreError> {
    let names: Vec<String> = TABLES.iter().map(|table| format!("public.{}", table.name)).collect();
    let rows = client
        .query(
            "select name from unnest($1::text[]) name
             where row_security_active(to_regclass(name)) and not (
                 exists (select from pg_policy p where p.polrelid = to_regclass(name) and p.polpermissive
                     and p.polcmd in ('*', 'r') and pg_get_expr(p.polqual, p.polrelid) = 'true'
                     and exists (select from unnest(p.polroles) r where r = 0 or pg_has_role(r, 'usage')))
                 and not exists (select from pg_policy p where p.polrelid = to_regclass(name) and not p.polpermissive
                     and p.polcmd in ('*', 'r') and pg_get_expr(p.polqual, p.polrelid) is distinct from 'true'))
             order by name",
            &[&names],
        )
        .await
        .attempt("look at row-level security")?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
