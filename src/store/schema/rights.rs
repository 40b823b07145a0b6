//! What a role of the service's own must be granted, and what of it is missing.

use tokio_postgres::Client;

use crate::store::database::{Attempt, Store, StoreError};

/// What the service's statements do with which table. A test below holds it against the statements themselves.
pub(in crate::store) const TABLE_RIGHTS: [(&str, &str); 21] = [
    ("public.accounts_user", "select"),
    ("public.inventory_medicine", "select"),
    ("public.orders_order", "select, update"),
    ("public.orders_orderitem", "select"),
    ("public.orders_orderstatushistory", "select, insert"),
    ("live.account", "select, insert, update"),
    ("live.arrival", "select, insert, update"),
    ("live.fold", "select, insert, update"),
    ("live.fold_position", "select, insert, delete"),
    ("live.incarnation", "select, insert"),
    ("live.migration", "select"),
    ("live.muted_order", "select, insert, delete"),
    ("live.order_event", "select, update, delete"),
    ("live.order_stats", "select, insert, update, delete"),
    ("live.order_timeline", "select, insert, delete"),
    ("live.saved_view", "select, insert, update, delete"),
    ("live.session", "select, insert, delete"),
    ("live.timeline_position", "select, insert, delete"),
    ("live.truncation", "select, delete"),
    ("live.unreadable", "select, delete"),
    ("live.viewing", "select, insert, update, delete"),
];

const SCHEMAS: [&str; 2] = ["live", "public"];

/// Where `public` was taken from everybody, roles need it granted; the same of functions, by default privileges.
const FUNCTIONS: &str = "execute on all functions in schema live";

/// Every right that the service needs, as in `select on live.fold`: what is granted, and revoked again, by one statement each.
pub fn rights() -> impl Iterator<Item = String> {
    let schemas = SCHEMAS.iter().map(|schema| format!("usage on schema {schema}"));
    let tables = TABLE_RIGHTS.iter().map(|(table, privileges)| format!("{privileges} on {table}"));
    schemas.chain([FUNCTIONS.to_owned()]).chain(tables)
}

/// The statements that grant a role every right that the service needs.
#[must_use]
pub fn grants(role: &str) -> String {
    let role = quoted(role);
    rights().map(|right| format!("grant {right} to {role};\n")).collect()
}

/// A name as SQL has it, whatever is in it.
#[must_use]
pub(in crate::store) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Store {
    /// The statements that grant this role what it lacks; none where it may do everything that the service does.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn missing_grants(&self) -> Result<Vec<String>, StoreError> {
        let client = self.client().await?;
        let role: String = client.query_one("select current_user::text", &[]).await.attempt("ask for the role")?.get(0);
        let missing = missing(&client).await?;
        Ok(missing.into_iter().map(|right| format!("grant {right} to {};", quoted(&role))).collect())
    }
}

async fn missing(client: &Client) -> Result<Vec<String>, StoreError> {
    let mut missing = Vec::new();
    let schemas = client
        .query(
            "select s from unnest($1::text[]) s where to_regnamespace(s) is not null and not has_schema_privilege(s, 'usage')",
            &[&SCHEMAS.as_slice()],
        )
        .await
        .attempt("look at privileges on schemas")?;
    missing.extend(schemas.iter().map(|row| format!("usage on schema {}", row.get::<_, &str>(0))));
    let functions = client
        .query_one(
            "select exists (select from pg_proc p where p.pronamespace = to_regnamespace('live')
                 and p.prorettype <> 'trigger'::regtype and not has_function_privilege(p.oid, 'execute'))",
            &[],
        )
        .await
        .attempt("look at privileges on functions")?;
    if functions.get(0) {
        missing.push(FUNCTIONS.to_owned());
    }
    // by their names and not by to_regclass, which a role may not use for a schema that it can't enter
    let (tables, privileges): (Vec<&str>, Vec<&str>) = TABLE_RIGHTS
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
    missing.extend(rows.iter().map(|row| row.get::<_, String>(0)));
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::{Path, PathBuf};

    use super::*;

    /// What only owners run, and what reads what was applied.
    const NOT_THE_SERVICE: [&str; 5] = ["cost.rs", "definition.rs", "migrate.rs", "rights.rs", "uninstall.rs"];

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
        let mut needs = Needs::new();
        let rooms = entries(&root.join("src/store")).into_iter().filter(|path| path.is_dir());
        for path in rooms.flat_map(|room| entries(&room)) {
            let name = path.file_name().unwrap().to_str().unwrap();
            if !NOT_THE_SERVICE.contains(&name) {
                read(&std::fs::read_to_string(&path).unwrap(), &mut needs);
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
        needs.entry("live.migration".to_owned()).or_default().insert("select");
        let listed: Needs = TABLE_RIGHTS
            .iter()
            .map(|(table, privileges)| ((*table).to_owned(), privileges.split(", ").collect()))
            .collect();
        assert_eq!(listed, needs);
    }
}
