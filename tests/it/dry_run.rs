//! What a migration would run, printed: nothing but that, all of it, and nothing is changed by printing it.

use std::process::Stdio;

use oncare_live::doctor;
use oncare_live::store::{DatabaseUrl, Script, Store, StoreError};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::harness::database::{Database, people};

const ONCARE: &str = include_str!("../../sql/0001_oncare_tables.sql");

/// All that is defined in a database but what PostgreSQL brings along, with who may do what with it, what was applied, and the
/// statistics.
pub async fn defined(database: &Database) -> String {
    let mut defined = database
        .value(
            "select string_agg(o, E'\\n' order by o) from (
                 with ours as (select oid from pg_namespace where nspname in ('live', 'public')),
                 relation as (select * from pg_class where relnamespace in (select oid from ours))
                 select nspname || ' ' || nspowner::regrole || coalesce(nspacl::text, '') as o from pg_namespace where nspname !~ '^pg_'
                 union all select concat_ws(' ', oid::regclass, relkind, relowner::regrole, relacl, reloptions, relpersistence,
                     obj_description(oid, 'pg_class')) from relation
                 union all select concat_ws(' ', attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull, attidentity,
                     attacl, pg_get_expr(d.adbin, d.adrelid))
                     from pg_attribute a left join pg_attrdef d on d.adrelid = attrelid and d.adnum = attnum
                     where attrelid in (select oid from relation) and attnum > 0 and not attisdropped
                 union all select pg_get_indexdef(indexrelid) || indisvalid from pg_index where indrelid in (select oid from relation)
                 union all select concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) from pg_constraint
                     where connamespace in (select oid from ours)
                 union all select concat_ws(' ', tgrelid::regclass, tgenabled, pg_get_triggerdef(oid)) from pg_trigger where not tgisinternal
                 union all select concat_ws(' ', pg_get_functiondef(oid), proowner::regrole, proacl) from pg_proc
                     where pronamespace in (select oid from ours) and prokind = 'f'
                 union all select concat_ws(' ', typname, typtype) from pg_type where typnamespace in (select oid from ours)
                 union all select concat_ws(' ', defaclrole, defaclnamespace, defaclobjtype, defaclacl) from pg_default_acl
             ) x",
        )
        .await;
    if database.value("to_regclass('live.migration')").await != "null" {
        let applied = "select string_agg(version || ' ' || name, ', ' order by version) from live.migration";
        defined += &database.value(applied).await;
    }
    if database.value("to_regclass('live.sign_in_key')").await != "null" {
        let rows = "select concat_ws(' ', count(*), (select count(*) from live.incarnation)) from live.sign_in_key";
        defined += &database.value(rows).await;
        let statistics = "select coalesce(string_agg(concat_ws(' ', sales_rep_id, status, payment_status, orders, amount), ', '
                order by sales_rep_id, status, payment_status), '') || coalesce((select (live.folded() is not null)::text), '')
            from live.order_stats where orders <> 0";
        defined += &database.value(statistics).await;
    }
    defined
}

async fn migrate(database: &Database, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_oncare-live"));
    program.env("DATABASE_URL", &database.url).args(["--log", "warn", "migrate"]).args(arguments);
    let output = program.output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Has psql run a script, with what somebody's defaults may be.
async fn psql(database: &Database, script: &str) -> String {
    let mut psql = Command::new("psql")
        .args(["-X", "-q", "-f", "-", &database.url])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env(
            "PGOPTIONS",
            "-c standard_conforming_strings=off -c default_transaction_read_only=on -c lock_timeout=1 -c quote_all_identifiers=on",
        )
        .spawn()
        .expect("psql is there");
    psql.stdin.take().unwrap().write_all(script.as_bytes()).await.unwrap();
    let output = psql.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}\n{script}");
    said
}

type Words = &'static [&'static str];

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_prints_what_migrating_runs_and_changes_nothing() {
    let own = format!("{ONCARE};\n{}", people());
    let older = format!("{own};\n{}", include_str!("schemas/0018.sql"));
    let is_current = "the migrated template";
    // what there is, what has become of it, what migrate is told, and what of it the script must have and must not
    let cases: &[(&str, &str, Words, Words, Words)] = &[
        ("", "", &["--create-tables"], &["create table", "create index concurrently orders_order_live"], &[]),
        (
            &own,
            "",
            &[],
            &[
                "create schema live",
                "'100ms'",
                "\"!live_insert\"",
                "this role has the rights",
                "('quote_all_identifiers', 'off')",
                "('transaction_timeout', '0')",
            ],
            &["create table public.", "are put back"],
        ),
        (
            &older,
            "drop trigger live_insert on orders_orderitem",
            &[],
            &["0037_triggers", "'100ms'"],
            &["create schema live", "are put back"],
        ),
        (
            is_current,
            "drop trigger live_insert on orders_orderitem; drop index orders_order_live_list_idx;
             create or replace function live.listener_sleeps() returns boolean language sql volatile as 'select true'",
            &[],
            &["are put back", "drop index concurrently", "create index concurrently"],
            &["insert into live.migration", "create schema"],
        ),
        // of the last files some were run, as where it was broken off
        (
            is_current,
            "delete from live.migration where version in (9, 37, 34); delete from live.sign_in_key;
             drop function live.record_items() cascade; drop index orders_order_live_list_idx",
            &[],
            &["0037_triggers", "create index concurrently", "live.sign_in_key default values"],
            &["are put back"],
        ),
        (
            is_current,
            "update live.fold set system_identifier = 0",
            &[],
            &["insert into live.order_stats"],
            &["insert into live.migration"],
        ),
        (is_current, "", &["--rebuild-statistics"], &["insert into live.order_stats"], &["create trigger"]),
    ];
    for (before, change, arguments, has, has_not) in cases {
        let made = if *before == is_current { Database::new().await } else { Database::empty().await };
        if *before != is_current {
            made.sql(before).await;
        }
        if !before.is_empty() {
            made.orders("(1, 1, 'pending', 'paid', 5), (2, null, 'shipped', 'paid', 7)").await;
        }
        made.sql(change).await;
        let (by_psql, by_itself) = (made.copied().await, made.copied().await);
        let case = format!("{arguments:?} {change} {}", before.lines().next().unwrap_or_default());

        let unchanged = defined(&by_psql).await;
        let (status, script, said) = migrate(&by_psql, &[*arguments, &["--dry-run"]].concat()).await;
        assert_eq!((status, &*said), (Some(0), ""), "{case}");
        assert_eq!(defined(&by_psql).await, unchanged, "{case}");
        assert!(has.iter().all(|part| script.contains(part)), "{case}: {script}");
        assert!(!has_not.iter().any(|part| script.contains(part)), "{case}: {script}");

        assert_eq!(psql(&by_psql, &script).await, "", "{case}");
        let (status, _, said) = migrate(&by_itself, arguments).await;
        assert_eq!((status, &*said), (Some(0), ""), "{case}");
        assert_eq!(defined(&by_psql).await, defined(&by_itself).await, "{case}");
        let findings = doctor::examine(&by_psql.parsed_url()).await;
        assert!(findings.iter().all(|finding| finding.problem().is_none()), "{case}: {findings:?}");

        let unchanged = defined(&by_itself).await;
        for database in [&by_psql, &by_itself] {
            let (status, script, said) = migrate(database, &["--dry-run"]).await;
            assert_eq!((status, &*said), (Some(0), ""), "{case}");
            assert!(
                script.starts_with("-- The database is up to date") && script.lines().count() == 1,
                "{case}: {script}"
            );
        }
        assert_eq!(defined(&by_itself).await, unchanged, "{case}");
    }
}

#[tokio::test]
async fn a_dry_run_waits_for_no_migration_and_says_what_migrating_would_refuse() {
    let database = Database::new().await;
    // whoever migrates holds it all the time
    let other = database.client().await;
    other.batch_execute("select pg_advisory_lock(x'6f6e63616d696772'::bigint)").await.unwrap();
    let (status, script, _) = migrate(&database, &["--dry-run"]).await;
    assert!(status == Some(0) && script.contains("is up to date"), "{script}");
    database.sql("drop trigger live_insert on orders_orderitem").await;
    // a role that may only read prints what its owner would run, and what that takes
    let role = format!("reader_of_{}", database.name);
    database.sql(&format!("create role {role} login password '{role}'")).await;
    database.grant(&role, false).await;
    let reader = database.url.replace("oncare:oncare@", &format!("{role}:{role}@"));
    let store = Store::new(DatabaseUrl::parse(&reader).unwrap(), 2).unwrap();
    let mut script = Script::default();
    store.write_migration(false, false, &mut script).await.unwrap();
    for part in ["-- this role lacks rights that are needed", "are put back"] {
        assert!(script.text().contains(part), "{}", script.text());
    }
    // refused, but not before the triggers were made harmless
    database.sql("alter table orders_order rename order_number to number").await;
    let mut script = Script::default();
    let refusal = database.store().write_migration(false, false, &mut script).await.unwrap_err();
    assert!(
        matches!(refusal, StoreError::Unsuitable(_)) && refusal.to_string().contains("the script renews"),
        "{refusal}"
    );
    assert!(script.text().contains("create trigger"), "{}", script.text());
}
