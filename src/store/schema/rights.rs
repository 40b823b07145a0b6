//! What roles must be granted, to serve and to migrate, and what of it is missing.

use tokio_postgres::Client;

use super::host::columns_of;
use crate::store::database::{Attempt, Store, StoreError};

/// What the service's statements do with which table. A test below holds it against the statements themselves.
pub(in crate::store) const TABLE_RIGHTS: [(&str, &str); 23] = [
    ("public.orders_order", "select"),
    ("public.orders_orderitem", "select"),
    ("public.orders_orderstatushistory", "select"),
    ("live.account", "select, insert, update"),
    ("live.arrival", "select, insert, update"),
    ("live.asset", "select, insert, update, delete"),
    ("live.fold", "select, insert, update"),
    ("live.fold_position", "select, insert, delete"),
    ("live.incarnation", "select, insert"),
    ("live.instance", "select, insert, update, delete"),
    ("live.migration", "select"),
    ("live.muted_order", "select, insert, delete"),
    ("live.order_event", "select, update, delete"),
    ("live.order_stats", "select, insert, update, delete"),
    ("live.order_timeline", "select, insert, delete"),
    ("live.saved_view", "select, insert, update, delete"),
    ("live.session", "select, insert, update, delete"),
    ("live.sign_in", "select, insert, update, delete"),
    ("live.sign_in_key", "select, insert"),
    ("live.timeline_position", "select, insert, delete"),
    ("live.truncation", "select, delete"),
    ("live.unreadable", "select, delete"),
    ("live.viewing", "select, insert, update, delete"),
];

/// Tables of which not everything is read: what the host knows of people and medicines besides is none of the service's business. Of
/// the orders nearly all is read, and a column that the host makes anew, which nobody would be granted, must not keep pages from them.
const READ_IN_PART: [&str; 2] = ["accounts_user", "inventory_medicine"];

/// What a form writes to the history.
pub(in crate::store) const OF_HISTORY: [&str; 8] = [
    "order_id",
    "old_status",
    "new_status",
    "old_payment_status",
    "new_payment_status",
    "notes",
    "changed_by_id",
    "changed_at",
];

/// What forms of the service's own write. The same test holds it.
const WRITTEN_BY_FORMS: [(&str, &str, &[&str]); 2] = [
    (
        "public.orders_order",
        "update",
        &[
            "customer_name",
            "customer_phone",
            "customer_address",
            "delivery_method",
            "delivery_address",
            "delivery_instructions",
            "customer_notes",
            "status",
            "payment_status",
            "confirmed_at",
            "shipped_at",
            "delivered_at",
            "updated_at",
        ],
    ),
    ("public.orders_orderstatushistory", "insert", &OF_HISTORY),
];

/// What a role may do with some columns of a table.
struct ColumnRight {
    table: String,
    privilege: &'static str,
    columns: Vec<&'static str>,
}

impl ColumnRight {
    /// As in `select (id, name) on public.inventory_medicine`.
    fn words(&self) -> String {
        format!("{} ({}) on {}", self.privilege, self.columns.join(", "), self.table)
    }
}

fn read_in_part() -> impl Iterator<Item = ColumnRight> {
    READ_IN_PART.iter().map(|table| ColumnRight {
        table: format!("public.{table}"),
        privilege: "select",
        columns: columns_of(table).collect(),
    })
}

fn written_by_forms() -> impl Iterator<Item = ColumnRight> {
    WRITTEN_BY_FORMS.iter().map(|(table, privilege, columns)| ColumnRight {
        table: (*table).to_owned(),
        privilege,
        columns: columns.to_vec(),
    })
}

const SCHEMAS: [&str; 2] = ["live", "public"];

/// Where `public` was taken from everybody, roles need it granted; the same of functions, by default privileges.
const FUNCTIONS: &str = "execute on all functions in schema live";

/// Sequences from which the history takes what a form does not give it. Who writes an identity column needs no right on its sequence.
const SEQUENCES: &str = "
    select distinct s.oid, s.relkind, format('%I.%I', n.nspname, s.relname) as name
    from pg_attrdef a
    join pg_depend d on d.classid = 'pg_attrdef'::regclass and d.objid = a.oid and d.refclassid = 'pg_class'::regclass
    join pg_class s on s.oid = d.refobjid and s.relkind = 'S'
    join pg_namespace n on n.oid = s.relnamespace
    join pg_class h on h.oid = a.adrelid and h.relname = 'orders_orderstatushistory'
        and h.relnamespace = to_regnamespace('public')";

/// Every right that the service needs, as in `select on live.fold`: what is granted, and revoked again, by one statement each. Those
/// on sequences are the database's own.
pub fn rights(own_forms: bool) -> impl Iterator<Item = String> {
    let schemas = SCHEMAS.iter().map(|schema| format!("usage on schema {schema}"));
    let tables = TABLE_RIGHTS.iter().map(|(table, privileges)| format!("{privileges} on {table}"));
    let of_forms = written_by_forms().filter(move |_| own_forms);
    let columns = read_in_part().chain(of_forms).map(|right| right.words());
    schemas.chain([FUNCTIONS.to_owned()]).chain(tables).chain(columns)
}

/// The tables of the host's with which the service does anything, and what: to take all of it back, as what is revoked of a table is
/// also revoked of its columns.
pub(in crate::store) fn of_host() -> impl Iterator<Item = String> {
    let columns =
        read_in_part().chain(written_by_forms()).map(|right| format!("{} on {}", right.privilege, right.table));
    let tables = TABLE_RIGHTS.iter().map(|(table, privileges)| format!("{privileges} on {table}"));
    tables.filter(|right| right.contains(" on public.")).chain(columns)
}

/// What is read besides where the host, a Django, signs people on.
const SESSIONS: (&str, &str) = ("public.django_session", "select (session_key, session_data, expire_date)");

/// The statement that grants a role to read the host's sessions.
#[must_use]
pub fn session_grant(role: &str) -> String {
    let (table, privilege) = SESSIONS;
    format!("grant {privilege} on {table} to {};", quoted(role))
}

/// A name as SQL has it, whatever is in it.
#[must_use]
pub(in crate::store) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn statement(right: &str, role: &str) -> String {
    format!("grant {right} to {};", quoted(role))
}

impl Store {
    /// The statements that grant a role what it needs in this database: to migrate, where the OnCare tables are its own; else to
    /// serve.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn grants(&self, role: &str, own_forms: bool) -> Result<Vec<String>, StoreError> {
        let client = self.client().await?;
        let is_owner = client
            .query_one(
                "select exists (
                     select from pg_class c join pg_roles r on r.rolname = $1
                     where c.relnamespace = to_regnamespace('public') and c.relname = 'orders_order'
                         and pg_has_role(r.oid, c.relowner, 'usage'))",
                &[&role],
            )
            .await
            .attempt("look whose the OnCare tables are")?;
        let rights = if is_owner.get(0) {
            vec![create_on_database(&client).await?, "usage, create on schema public".to_owned()]
        } else {
            rights(own_forms).chain(sequences(&client, own_forms).await?).collect()
        };
        Ok(rights.iter().map(|right| statement(right, role)).collect())
    }

    /// The statements that grant this role what it lacks; none where it may do everything that the service does.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn missing_grants(&self, own_forms: bool) -> Result<Vec<String>, StoreError> {
        let client = self.client().await?;
        let mut lacking = lacking(&client).await?;
        if own_forms {
            lacking.extend(lacking_for_forms(&client).await?);
        }
        as_grants(&client, &lacking).await
    }
}

/// The statements that grant the present role these rights.
pub(in crate::store) async fn as_grants(client: &Client, rights: &[String]) -> Result<Vec<String>, StoreError> {
    let role: String = client.query_one("select current_user::text", &[]).await.attempt("ask for the role")?.get(0);
    Ok(rights.iter().map(|right| statement(right, &role)).collect())
}

async fn create_on_database(client: &Client) -> Result<String, StoreError> {
    let row = client.query_one("select current_database()::text", &[]).await.attempt("ask for the database's name")?;
    Ok(format!("create on database {}", quoted(row.get(0))))
}

/// Those of the database's own sequences.
pub(in crate::store) async fn sequences(client: &Client, own_forms: bool) -> Result<Vec<String>, StoreError> {
    if !own_forms {
        return Ok(Vec::new());
    }
    let sql = format!("select name from ({SEQUENCES}) s order by name");
    let rows = client.query(&sql, &[]).await.attempt("look for the history's sequence")?;
    Ok(rows.iter().map(|row| format!("usage on sequence {}", row.get::<_, &str>(0))).collect())
}

/// What the role lacks to serve.
async fn lacking(client: &Client) -> Result<Vec<String>, StoreError> {
    let mut lacking = Vec::new();
    let schemas = client
        .query(
            "select s from unnest($1::text[]) s where to_regnamespace(s) is not null and not has_schema_privilege(s, 'usage')",
            &[&SCHEMAS.as_slice()],
        )
        .await
        .attempt("look at privileges on schemas")?;
    lacking.extend(schemas.iter().map(|row| format!("usage on schema {}", row.get::<_, &str>(0))));
    let functions = client
        .query_one(
            "select exists (select from pg_proc p where p.pronamespace = to_regnamespace('live')
                 and p.prorettype <> 'trigger'::regtype and not has_function_privilege(p.oid, 'execute'))",
            &[],
        )
        .await
        .attempt("look at privileges on functions")?;
    if functions.get(0) {
        lacking.push(FUNCTIONS.to_owned());
    }
    lacking.extend(lacking_on_tables(client, &TABLE_RIGHTS).await?);
    lacking.extend(lacking_on_columns(client, read_in_part()).await?);
    Ok(lacking)
}

/// What the role lacks besides for forms of the service's own.
pub(in crate::store) async fn lacking_for_forms(client: &Client) -> Result<Vec<String>, StoreError> {
    let mut lacking = lacking_on_columns(client, written_by_forms()).await?;
    // asked of anything but a sequence it is an error
    let sql = format!(
        "select name from ({SEQUENCES}) s
         where case relkind when 'S' then not has_sequence_privilege(oid, 'usage') end order by name"
    );
    let rows = client.query(&sql, &[]).await.attempt("look at privileges on the history's sequence")?;
    lacking.extend(rows.iter().map(|row| format!("usage on sequence {}", row.get::<_, &str>(0))));
    Ok(lacking)
}

/// By the tables' names and not by to_regclass, which a role may not use for a schema that it can't enter.
async fn lacking_on_tables(client: &Client, rights: &[(&str, &str)]) -> Result<Vec<String>, StoreError> {
    let (tables, privileges): (Vec<&str>, Vec<&str>) = rights
        .iter()
        .flat_map(|(table, privileges)| privileges.split(", ").map(move |privilege| (*table, privilege)))
        .unzip();
    let rows = client
        .query(
            "select n.privilege || ' on ' || n.name
             from unnest($1::text[], $2::text[]) with ordinality n (name, privilege, place)
             join pg_class c on c.relnamespace = to_regnamespace(split_part(n.name, '.', 1))
                 and c.relname = split_part(n.name, '.', 2)
             where not has_table_privilege(c.oid, n.privilege)
             order by n.place",
            &[&tables, &privileges],
        )
        .await
        .attempt("look at privileges on tables")?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The same of columns, as far as they are there. Who was granted the table has all of them.
async fn lacking_on_columns(
    client: &Client,
    rights: impl Iterator<Item = ColumnRight>,
) -> Result<Vec<String>, StoreError> {
    let (mut tables, mut privileges, mut columns) = (Vec::new(), Vec::new(), Vec::new());
    for right in rights {
        for column in &right.columns {
            tables.push(right.table.clone());
            privileges.push(right.privilege);
            columns.push(*column);
        }
    }
    let rows = client
        .query(
            "select n.privilege || ' (' || string_agg(n.name, ', ' order by n.place) || ') on ' || n.relation
             from unnest($1::text[], $2::text[], $3::text[]) with ordinality n (relation, privilege, name, place)
             join pg_class c on c.relnamespace = to_regnamespace(split_part(n.relation, '.', 1))
                 and c.relname = split_part(n.relation, '.', 2)
             join pg_attribute a on a.attrelid = c.oid and a.attname = n.name and not a.attisdropped
             where not has_column_privilege(c.oid, a.attnum, n.privilege)
             group by n.relation, n.privilege
             order by min(n.place)",
            &[&tables, &privileges, &columns],
        )
        .await
        .attempt("look at privileges on columns")?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// What the role lacks to see what is there, which everything else begins with.
pub(in crate::store) async fn lacking_to_look(client: &Client) -> Result<Vec<String>, StoreError> {
    let rows = client
        .query(
            "select 'usage on schema ' || n.nspname from pg_namespace n
             where n.nspname in ('live', 'public') and not has_schema_privilege(n.oid, 'usage')
             union all
             select 'select on live.migration' from pg_class c
             where c.relnamespace = to_regnamespace('live') and c.relname = 'migration'
                 and not has_table_privilege(c.oid, 'select')",
            &[],
        )
        .await
        .attempt("look at the role's privileges")?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// What the role lacks to change what is there. Only owners can, so that it must be a member of those.
pub(in crate::store) async fn lacking_to_migrate(client: &Client) -> Result<Vec<String>, StoreError> {
    let row = client
        .query_one(
            "select not has_database_privilege(current_database(), 'create') and to_regnamespace('live') is null,
                 not has_schema_privilege('public', 'create'),
                 array(
                     select distinct format('%I', r.rolname) from pg_roles r
                     where not pg_has_role(r.oid, 'usage') and (
                         r.oid in (select c.relowner from pg_class c where c.relnamespace = to_regnamespace('public')
                             and c.relname in ('orders_order', 'orders_orderitem', 'orders_orderstatushistory'))
                         or r.oid = (select n.nspowner from pg_namespace n where n.nspname = 'live'))
                     order by 1)",
            &[],
        )
        .await
        .attempt("look at the role's privileges")?;
    let mut lacking = Vec::new();
    if row.get(0) {
        lacking.push(create_on_database(client).await?);
    }
    if row.get(1) {
        lacking.push("create on schema public".to_owned());
    }
    lacking.extend(row.get::<_, Vec<String>>(2));
    Ok(lacking)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::{Path, PathBuf};

    use super::*;

    /// What only owners run, and what reads what was applied.
    const NOT_THE_SERVICE: [&str; 5] = ["cost.rs", "definition.rs", "migrate.rs", "rights.rs", "uninstall.rs"];

    /// What only forms of the service's own run.
    const FORMS: [&str; 2] = ["edit.rs", "status.rs"];

    type Needs = BTreeMap<String, BTreeSet<&'static str>>;

    /// Notes what SQL does with tables. Whoever changes rows also reads them, to find them or to see which there are.
    fn read(sql: &str, needs: &mut Needs) {
        let code = sql.lines().filter(|line| !["//", "--"].iter().any(|mark| line.trim_start().starts_with(mark)));
        let text = code.collect::<Vec<_>>().join(" ");
        let words: Vec<&str> =
            text.split(|c: char| c.is_whitespace() || "(),;\"".contains(c)).filter(|word| !word.is_empty()).collect();
        let mut inserted_into: Option<String> = None;
        for (place, word) in words.iter().enumerate() {
            let before = |distance: usize| place.checked_sub(distance).map_or("", |place| words[place]);
            if *word == "update" && before(1) == "do" {
                let table = inserted_into.clone().expect("a conflict follows an insert");
                needs.entry(table).or_default().insert("update");
            }
            let is_table =
                ["live.", "public."].iter().any(|schema| word.len() > schema.len() && word.starts_with(schema))
                    && word.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c == '.');
            // of functions the statement names itself what they read
            let is_function = text.contains(&format!("{word}("));
            if !is_table || is_function {
                continue;
            }
            let does = match (before(2), before(1)) {
                ("insert", "into") => {
                    inserted_into = Some((*word).to_owned());
                    "insert"
                }
                ("delete", "from") => "delete",
                (_, "update") => "update",
                _ => "select",
            };
            needs.entry((*word).to_owned()).or_default().extend([does, "select"]);
        }
    }

    #[test]
    fn the_rights_are_those_that_the_statements_need() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let entries = |folder: &Path| -> Vec<PathBuf> {
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
        };
        let (mut needs, mut of_forms) = (Needs::new(), Needs::new());
        let rooms = entries(&root.join("src/store")).into_iter().filter(|path| path.is_dir());
        for path in rooms.flat_map(|room| entries(&room)) {
            let name = path.file_name().unwrap().to_str().unwrap();
            if !NOT_THE_SERVICE.contains(&name) {
                let needs = if FORMS.contains(&name) { &mut of_forms } else { &mut needs };
                read(&std::fs::read_to_string(&path).unwrap(), needs);
            }
        }
        for path in entries(&root.join("sql")) {
            let text = std::fs::read_to_string(&path).unwrap();
            for function in text.split("create or replace function").skip(1) {
                let body = function.split("$$").nth(1).unwrap();
                // what triggers call runs as its owner
                if !function.split("$$").next().unwrap().contains("security definer") {
                    read(body, &mut needs);
                }
            }
        }
        // users are created by who owns their table
        let users = needs.get_mut("public.accounts_user").unwrap();
        assert!(users.remove("insert"));
        // and their hashes replaced where somebody who owns them asks for it
        assert!(users.remove("update"));
        needs.entry("live.migration".to_owned()).or_default().insert("select");
        assert!(SESSIONS.1.starts_with("select ("));
        assert_eq!(needs.remove(SESSIONS.0), Some(BTreeSet::from(["select"])));
        let mut listed: Needs = TABLE_RIGHTS
            .iter()
            .map(|(table, privileges)| ((*table).to_owned(), privileges.split(", ").collect()))
            .collect();
        listed.extend(read_in_part().map(|right| (right.table, BTreeSet::from([right.privilege]))));
        assert_eq!(listed, needs);
        let of_host = needs.iter().filter(|(table, _)| table.starts_with("public."));
        assert!(of_host.clone().count() == 5 && of_host.into_iter().all(|(_, does)| *does == ["select"].into()));
        // a form reads nothing that is not read anyway
        of_forms.retain(|table, does| {
            does.retain(|one| !needs.get(table).is_some_and(|does| does.contains(one)));
            !does.is_empty()
        });
        let written: Needs = written_by_forms().map(|right| (right.table, BTreeSet::from([right.privilege]))).collect();
        assert_eq!(written, of_forms);
    }

    /// The columns that the statements of the forms set or fill, by table.
    fn columns_written() -> BTreeMap<&'static str, BTreeSet<String>> {
        let sources = [include_str!("../orders/edit.rs"), include_str!("../orders/status.rs")];
        let text = sources.concat().split_whitespace().collect::<Vec<_>>().join(" ");
        let mut written: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for update in text.split("update public.orders_order ").skip(1) {
            let (_, set) = update.split_once("set ").unwrap();
            let end = [" where ", " from asked "].iter().filter_map(|word| set.find(word)).min().unwrap();
            // what is assigned stands before an equals sign, at the beginning or after a comma
            let columns =
                set[..end].split('=').filter_map(|part| part.split([',', ' ']).rfind(|word| !word.is_empty()));
            let is_name = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            let columns =
                columns.filter(is_name).filter(|word| columns_of("orders_order").any(|column| column == *word));
            written.entry("public.orders_order").or_default().extend(columns.map(str::to_owned));
        }
        for insert in text.split("insert into public.orders_orderstatushistory (").skip(1) {
            let (columns, _) = insert.split_once(')').unwrap();
            let columns = columns.split(", ").map(str::to_owned);
            written.entry("public.orders_orderstatushistory").or_default().extend(columns);
        }
        written
    }

    #[test]
    fn forms_may_write_the_columns_that_they_write() {
        let listed: BTreeMap<&str, BTreeSet<String>> = WRITTEN_BY_FORMS
            .iter()
            .map(|(table, _, columns)| (*table, columns.iter().map(|column| (*column).to_owned()).collect()))
            .collect();
        assert_eq!(listed, columns_written());
    }

    /// The file for whoever sets the roles up grants what the doctor prints, and nothing else.
    #[test]
    fn the_file_of_roles_grants_the_same() {
        let file = include_str!("../../../sql/roles.sql");
        let code: Vec<&str> = file.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
        let text = code.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
        // of a statement within a block everything before it is cut off
        let granted: BTreeSet<&str> = text
            .split(';')
            .filter_map(|statement| {
                Some(&statement[statement.rfind("grant ").filter(|_| !statement.contains("format("))?..])
            })
            .collect();
        let of_service: BTreeSet<String> = rights(false).collect();
        let of_forms = rights(true).filter(|right| !of_service.contains(right));
        let mut expected: BTreeSet<String> =
            of_service.iter().map(|right| format!("grant {right} to oncare_live")).collect();
        expected.extend(of_forms.map(|right| format!("grant {right} to oncare_live_forms")));
        expected.insert(session_grant("oncare_live").replace(['"', ';'], ""));
        assert_eq!(granted, expected.iter().map(String::as_str).collect());
    }
}
