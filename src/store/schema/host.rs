//! Whether the tables of the existing system are what triggers can watch and the statements can read.

use tokio_postgres::Client;

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

const TABLES: [Table; 5] = [
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

impl Store {
    /// What of the existing system's tables is not what the service needs, with what it must be; `None` where there are no
    /// such tables at all.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn unsuitable_tables(&self) -> Result<Option<Vec<String>>, StoreError> {
        let client = self.client().await?;
        let has_any = missing(&client).await?.len() < TABLES.len();
        Ok(if has_any { Some(problems(&client).await?) } else { None })
    }

    /// The tables of which row-level security may hide rows from this role.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn hidden_tables(&self) -> Result<Vec<String>, StoreError> {
        hidden(&*self.client().await?).await
    }
}

/// Whether the tables are there. None of them may be, so that they are to be made.
///
/// # Errors
/// If they are there in part only, or are not what they must be: nothing may be attached to them then.
pub(in crate::store) async fn check(client: &Client) -> Result<bool, StoreError> {
    let missing = missing(client).await?;
    if missing.len() == TABLES.len() {
        return Ok(false);
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

/// The names of the tables that are not there.
async fn missing(client: &Client) -> Result<Vec<String>, StoreError> {
    let names: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
    let sql = "select t from unnest($1::text[]) t where to_regclass('public.' || t) is null";
    let rows = client.query(sql, &[&names]).await.attempt("look for the OnCare tables")?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// What is wrong with those of the tables that are there, and with those that are not.
async fn problems(client: &Client) -> Result<Vec<String>, StoreError> {
    let mut problems = Vec::new();
    for table in &TABLES {
        let name = format!("public.{}", table.name);
        let row = client
            .query_opt(
                "select c.relkind::text, c.relispartition, c.relhassubclass and exists (
                     select from pg_inherits i where i.inhparent = c.oid),
                     exists (select from pg_inherits i where i.inhrelid = c.oid)
                 from pg_class c where c.oid = to_regclass($1)",
                &[&name],
            )
            .await
            .attempt("look at the OnCare tables")?;
        let Some(row) = row else {
            problems.push(format!("{name} is missing"));
            continue;
        };
        let (kind, is_partition): (&str, bool) = (row.get(0), row.get(1));
        let (has_children, is_child): (bool, bool) = (row.get(2), row.get(3));
        if !table.kinds.contains(kind) {
            problems.push(format!("{name} is {}", refusal(kind, table.kinds)));
            continue;
        }
        if table.kinds == WATCHED {
            let relation = match (is_partition, has_children, is_child) {
                (true, _, _) => Some("a partition of another table"),
                (false, true, _) => Some("the parent of others that inherit from it"),
                (false, false, true) => Some("a child that inherits from another table"),
                (false, false, false) => None,
            };
            if let Some(relation) = relation {
                problems.push(format!(
                    "{name} is {relation}: changes made through one table go unrecorded at the other. It must be a table by \
                     itself"
                ));
            }
        }
        problems.extend(wrong_columns(client, table, &name).await?);
    }
    Ok(problems)
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

async fn wrong_columns(client: &Client, table: &Table, name: &str) -> Result<Vec<String>, StoreError> {
    // a domain is what it is made of
    let rows = client
        .query(
            "select a.attname::text, format_type(a.atttypid, a.atttypmod), coalesce(base.typname, t.typname)::text
             from pg_attribute a
             join pg_type t on t.oid = a.atttypid
             left join pg_type base on base.oid = t.typbasetype
             where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped",
            &[&name],
        )
        .await
        .attempt("look at the OnCare tables' columns")?;
    let mut missing = Vec::new();
    let mut wrong = Vec::new();
    for (column, kind) in table.columns {
        let (types, served_by) = kind.types();
        match rows.iter().find(|row| row.get::<_, &str>(0) == *column) {
            None => missing.push(*column),
            Some(row) if types.contains(&row.get::<_, &str>(2)) => {}
            Some(row) => {
                let found: &str = row.get(1);
                wrong.push(format!("{name}.{column} is {found}, and must be {served_by}"));
            }
        }
    }
    if !missing.is_empty() {
        let what = if missing.len() == 1 { "the column" } else { "the columns" };
        wrong.insert(0, format!("{name} lacks {what} {}", missing.join(", ")));
    }
    Ok(wrong)
}

/// A policy that lets the role see every row hides none, unless a restrictive one does.
async fn hidden(client: &Client) -> Result<Vec<String>, StoreError> {
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
