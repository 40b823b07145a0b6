//! What records changes: the triggers and what they read, so that one state of them can be told from another.

use std::sync::LazyLock;

/// What the triggers and the reads of changes need of the host's columns: relation, column, and the kind of type, as
/// `pg_type.typcategory` has it. Which types of it serve for everything else is told by `schema/host.rs`.
pub(in crate::store) const READ: [(&str, &str, char); 9] = [
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

pub(in crate::store) const NUMBER: char = 'N';
pub(in crate::store) const TEXT: char = 'S';
pub(in crate::store) const TIME: char = 'D';

/// An expression in SQL. Whoever makes a trigger anew, or switches it, leaves another version of its row in the catalog, which
/// freezing does not change; whoever puts a column in another's place, another number; whoever replaces a function, or grants
/// something on it or on the table of notes, another version of those rows. A table's file is another after everything that
/// writes it anew, and for the most part that changes nothing in it; where a column has another version as well, its type was
/// changed, and its values may have been. A crash empties an unlogged table, and gives the server's incarnation another token.
pub(in crate::store) static RECORDING: LazyLock<String> = LazyLock::new(|| {
    let place = |(place, (relation, column, _)): (usize, &(&str, &str, char))| {
        format!("({place}, to_regclass('public.{relation}'), '{column}')")
    };
    let read: Vec<String> = READ.iter().enumerate().map(place).collect();
    format!(
        "(with read as materialized (
             select n.place, a.attrelid, a.attnum, a.xmin from (values {}) n (place, relation, name)
             join pg_attribute a on a.attrelid = n.relation and a.attname = n.name
         )
         select jsonb_build_object(
             'triggers', (select string_agg(format('%s/%s', t.oid, t.xmin), ' ' order by t.oid)
                 from pg_trigger t join pg_proc p on p.oid = t.tgfoid
                 where p.pronamespace = to_regnamespace('live') and not t.tgisinternal and p.proname <> 'record_history'),
             'functions', (select string_agg(format('%s/%s', p.oid, p.xmin), ' ' order by p.oid)
                 from pg_proc p
                 where p.pronamespace = to_regnamespace('live') and p.proname <> 'record_history'
                   and exists (select from pg_trigger t where t.tgfoid = p.oid)),
             'columns', (select string_agg(format('%s/%s', r.attrelid, r.attnum), ' ' order by r.place) from read r),
             'types', (select string_agg(r.xmin::text, ' ' order by r.place) from read r),
             'files', (select string_agg(c.relfilenode::text, ' ' order by c.oid)
                 from pg_class c where c.oid in (select r.attrelid from read r)),
             'life', (select string_agg(i.token::text, ' ')
                 from pg_class c cross join live.incarnation i
                 where c.relpersistence = 'u' and c.oid in (select r.attrelid from read r)),
             'notes', (select format('%s/%s/%s', c.oid, c.xmin, n.xmin)
                 from pg_class c join pg_namespace n on n.oid = c.relnamespace
                 where c.oid = to_regclass('live.unreadable'))))",
        read.join(", ")
    )
});

/// A condition on two such values: changes are certain or likely to have gone unrecorded from one to the other.
pub(in crate::store) fn was_replaced(before: &str, now: &str) -> String {
    let differs = |part: &str| format!("{before} -> '{part}' is distinct from {now} -> '{part}'");
    ["triggers", "columns", "life"].map(differs).join(" or ")
}

/// The same: changes may have gone unrecorded, and most probably did not.
pub(in crate::store) fn was_rewritten(before: &str, now: &str) -> String {
    let differs = |part: &str| format!("{before} -> '{part}' is distinct from {now} -> '{part}'");
    format!("{} or {} or {} and {}", differs("functions"), differs("notes"), differs("files"), differs("types"))
}
