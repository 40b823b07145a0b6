//! Whether every change of the orders is recorded: what the triggers are and what they read, as it is now.

use super::inspect::triggers;
use super::migrate::SchemaState;
use crate::store::database::{Attempt, Store, StoreError};

/// What the triggers and the reads of changes need of the host's columns: relation, column, and the kind of type, as
/// `pg_type.typcategory` has it. Which types of it serve for everything else is told by `host.rs`.
const READ: [(&str, &str, char); 9] = [
    ("orders_order", "id", NUMBER),
    ("orders_order", "order_number", TEXT),
    ("orders_order", "sales_rep_id", NUMBER),
    ("orders_order", "customer_name", TEXT),
    ("orders_order", "status", TEXT),
    ("orders_order", "payment_status", TEXT),
    ("orders_order", "total_amount", NUMBER),
    ("orders_order", "created_at", TIME),
    ("orders_orderitem", "order_id", NUMBER),
];

const NUMBER: char = 'N';
const TEXT: char = 'S';
const TIME: char = 'D';

/// How a person calls such a type.
fn called(kind: char) -> &'static str {
    match kind {
        NUMBER => "a number",
        TIME => "a time",
        _ => "a text",
    }
}

/// How well changes are recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// What keeps changes from being recorded; nothing where all of them are.
    pub faults: Vec<String>,
    /// What a trigger ran into that could not read a change, where statistics were not built anew since.
    pub unreadable: Option<String>,
    /// Another one means that the triggers were made or switched anew, or what they read was: between two looks something may have gone
    /// unrecorded. None where the schema has yet to become this version's.
    pub fingerprint: Option<String>,
}

impl Store {
    /// How well changes are recorded; `None` where the schema is of a newer version, whose triggers are not known here.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn recording(&self) -> Result<Option<Recording>, StoreError> {
        match self.schema().await? {
            SchemaState::Current => {}
            SchemaState::Newer(_) => return Ok(None),
            SchemaState::Behind(pending) => {
                let fault = format!("schema live lacks {}: run oncare-live migrate", pending.join(", "));
                return Ok(Some(Recording { faults: vec![fault], unreadable: None, fingerprint: None }));
            }
        }
        let client = self.client().await?;
        let mut faults: Vec<String> = triggers(&client)
            .await?
            .iter()
            .filter_map(|(name, state)| Some(format!("trigger {name}: {}", state.fault()?)))
            .collect();
        let (relations, columns): (Vec<&str>, Vec<&str>) =
            READ.iter().map(|(relation, column, _)| (*relation, *column)).unzip();
        // a domain is of the kind of what it is made of
        let rows = client
            .query(
                "select to_regclass('public.' || n.relation) is not null, format_type(a.atttypid, a.atttypmod),
                     t.typcategory::text
                 from unnest($1::text[], $2::text[]) with ordinality n (relation, name, place)
                 left join pg_attribute a on a.attrelid = to_regclass('public.' || n.relation) and a.attname = n.name
                     and a.attnum > 0 and not a.attisdropped
                 left join pg_type t on t.oid = a.atttypid
                 order by n.place",
                &[&relations, &columns],
            )
            .await
            .attempt("look at what the triggers read")?;
        for ((relation, column, kind), row) in READ.iter().zip(&rows) {
            let (is_there, found): (bool, Option<&str>) = (row.get(0), row.get(1));
            let category: Option<&str> = row.get(2);
            match found {
                _ if !is_there => {
                    let missing = format!("public.{relation} is missing");
                    if !faults.contains(&missing) {
                        faults.push(missing);
                    }
                }
                None => faults.push(format!("public.{relation} lacks the column {column}")),
                Some(_) if category.is_some_and(|category| category.starts_with(*kind)) => {}
                Some(found) => {
                    faults.push(format!("public.{relation}.{column} is {found}, and must be {}", called(*kind)));
                }
            }
        }
        let row = client
            .query_one(
                "select (select u.reason from live.unreadable u order by u.xid desc limit 1),
                     coalesce((select string_agg(format('%s/%s/%s', t.oid, t.xmin, p.xmin), ' ' order by t.oid)
                         from pg_trigger t join pg_proc p on p.oid = t.tgfoid
                         where p.pronamespace = to_regnamespace('live') and not t.tgisinternal), '')
                     || coalesce((select string_agg(format(' %s/%s', a.attrelid, a.attnum), ''
                             order by n.place)
                         from unnest($1::text[], $2::text[]) with ordinality n (relation, name, place)
                         join pg_attribute a on a.attrelid = to_regclass('public.' || n.relation) and a.attname = n.name), '')",
                &[&relations, &columns],
            )
            .await
            .attempt("look for what could not be read")?;
        Ok(Some(Recording { faults, unreadable: row.get(0), fingerprint: Some(row.get(1)) }))
    }

    /// Has statistics counted from the orders until somebody builds them anew, as changes may go unrecorded.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn distrust_statistics(&self) -> Result<(), StoreError> {
        self.discard_fold().await
    }
}
