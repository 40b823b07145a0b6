//! Users and orders of the demonstration.

use tokio_postgres::NoTls;

use crate::password;

/// The password of every demonstration user.
pub(super) const PASSWORD: &str = "oncare-demo";

/// A demonstration user.
pub(super) struct Person {
    /// The login.
    pub(super) username: &'static str,
    name: (&'static str, &'static str),
    role: &'static str,
}

const fn person(username: &'static str, name: (&'static str, &'static str), role: &'static str) -> Person {
    Person { username, name, role }
}

/// The sales reps; the first has the most orders.
pub(super) const REPS: [Person; 4] = [
    person("maria", ("Maria", "Santos"), "sales_rep"),
    person("jose", ("Jose", "Reyes"), "sales_rep"),
    person("ana", ("Ana", "Bautista"), "sales_rep"),
    person("ramon", ("Ramon", "Cruz"), "sales_rep"),
];

const OTHERS: [Person; 2] =
    [person("rx", ("Rosa", "Mercado"), "pharmacist_admin"), person("admin", ("Alma", "Navarro"), "admin")];

/// Writes users and orders into an empty database; leaves one that has users as it is. Events of the writing are
/// deleted, so that the statistics must be built anew where this says that it wrote.
pub(super) async fn fill(url: &str) -> Result<bool, tokio_postgres::Error> {
    let (mut client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let driver = tokio::spawn(connection);
    let transaction = client.transaction().await?;
    let is_empty = transaction.query_opt("select from public.accounts_user limit 1", &[]).await?.is_none();
    if is_empty {
        let encoded = password::encode(PASSWORD);
        for Person { username, name, role } in REPS.iter().chain(&OTHERS) {
            transaction
                .execute(
                    "insert into public.accounts_user (
                         password, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined,
                         role, phone_number, address, city, state, country, zip_code, is_verified, created_at, updated_at
                     ) values ($1, false, $2::text, $3, $4, $2::text || '@oncare.example', false, true, now(), $5, '', '', '', '', '',
                         '', true, now(), now())",
                    &[&encoded, username, &name.0, &name.1, role],
                )
                .await?;
        }
        transaction.batch_execute(include_str!("../../sql/demo_data.sql")).await?;
    }
    transaction.commit().await?;
    driver.abort();
    Ok(is_empty)
}
