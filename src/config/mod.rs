//! The configuration: one declaration of the arguments, whose flags are also variables and keys of one TOML file.
//!
//! `cli.rs`, `serve.rs`, `database.rs` and `django.rs` declare the arguments, and `values.rs` says what their texts mean. `setting.rs` reads
//! off that declaration what can be set; `environment.rs` and `file.rs` say what was given for it, and `load.rs` puts it together.
//! `print.rs` writes it down again, for `config`, and `man.rs` the manual page.

mod cli;
mod database;
mod django;
mod entry;
mod environment;
mod file;
mod given;
mod load;
pub mod man;
mod print;
mod secret_file;
mod serve;
mod setting;
mod values;

pub use cli::{
    Cli, Command, Completions, CreateUser, Demo, Detach, Doctor, Health, LogFormat, Migrate, Printed, Uninstall,
    UserSessions,
};
pub use database::Database;
pub use django::Django;
pub use load::{Loaded, Refused, completed, load, program};
pub use secret_file::open_to_all;
pub use serve::{Clients, Drain, Forms, OwnForms, Serve, Service, SignIn};
pub use values::{PublicUrl, Secret, SessionEngine};

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::error::ErrorKind;

    use super::*;

    fn loaded(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Loaded, Refused> {
        let arguments = ["oncare-live"].iter().chain(arguments).map(OsString::from);
        load(arguments, variables.iter().map(|(name, value)| (name.into(), value.into())))
    }

    /// What is said of arguments that are wrong.
    fn refused(arguments: &[&str]) -> String {
        match loaded(arguments, &[]).unwrap_err() {
            Refused::Arguments(error) => error.to_string(),
            Refused::Settings(wrong) => wrong.join("\n"),
        }
    }

    #[test]
    fn a_wrong_value_is_named_with_what_was_expected() {
        for (flag, value, expected) in [
            ("--listen", "8080", "127.0.0.1:8080"),
            ("--poll-interval", "0s", "from 1s to 1h"),
            ("--poll-interval", "five", "from 1s to 1h"),
            ("--time-zone", "Manila", "Asia/Manila"),
            ("--currency", "", "₱"),
            ("--pool-size", "0", "from 1 to 500"),
            ("--session-idle", "1s", "such as 14days"),
            ("--public-url", "live.example", "https://live.example"),
            ("--public-url", "https://live.example/a/b", "https://live.example"),
            ("--public-url", "ftp://live.example", "https://live.example"),
            ("--trusted-proxy", "10.0.0.0/40", "10.0.0.0/8"),
            ("--failed-login-takes", "1min", "from 0s to 10s"),
            ("--client-patience", "0s", "from 1s to 10min"),
            ("--max-connections", "0", "from 1 to 1000000"),
            ("--connections-per-address", "many", "from 1 to 1000000"),
            ("--streams-per-user", "0", "from 1 to 1000000"),
            ("--late-after", "pending=4", "pending=4h,shipped=5days"),
            ("--late-after", "delivered=4h", "unfinished statuses"),
            ("--host-edit-path", "/orders/edit/", "with {id} in it"),
            ("--host-cancel-path", "javascript:{id}", "http or https"),
            ("--host-order-path", "//evil/{id}/", "expected a path"),
            ("--prefix", "live", "begins and ends with a slash"),
            ("--prefix", "/live", "begins and ends with a slash"),
            ("--prefix", "//live/", "begins and ends with a slash"),
            ("--prefix", "/../", "begins and ends with a slash"),
            ("--prefix", "/{id}/", "begins and ends with a slash"),
            ("--prefix", "/orders/", "pages of its own"),
            ("--host-login-path", "https://evil.example/", "on the same site"),
            ("--host-logout-path", "//evil.example/", "on the same site"),
            ("--django-session-cookie", "a=b", "such as sessionid"),
            ("--django-session-engine", "cache", "cached_db"),
            ("--django-session-engine", "file", "cached_db"),
            ("--django-session-engine", "signed_cookies", "can't be ended"),
        ] {
            let text = refused(&["serve", "--database-url", "postgresql://h/d", flag, value]);
            assert!(text.contains(flag) && text.contains(expected), "{text}");
        }
    }

    #[test]
    fn a_wrong_url_is_refused_without_its_password() {
        let text = refused(&["doctor", "--database-url", "mysql://u:s3cret@h/d"]);
        assert!(text.contains("--database-url") && text.contains("expected a URL such as"), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
        let right = loaded(&["doctor", "--database-url", "postgresql://u:s3cret@h/d"], &[]).unwrap();
        assert!(!format!("{:?}", right.cli).contains("s3cret"));
        assert!(right.notices[0].starts_with("--database-url has a password in it"), "{:?}", right.notices);
    }

    #[test]
    fn no_database_is_needed_for_what_a_proxy_is_told() {
        let Command::Doctor(doctor) = loaded(&["doctor", "--proxy", "nginx"], &[]).unwrap().cli.command else {
            panic!("not the doctor")
        };
        assert!(doctor.database.url().unwrap_err().to_string().contains("ONCARE_LIVE_DATABASE_URL"));
    }

    #[test]
    fn a_password_in_a_url_is_noticed() {
        for (url, has) in [
            ("postgresql://u:s3cret@h/d", true),
            ("postgresql://u:s3/cret@h/d", true),
            ("postgresql://h/d?user=u&pass%77ord=s3cret", true),
            ("postgres://u:s3cret@h:5432/d?sslmode=require", true),
            ("postgresql://u:p@ss@h/d", true),
            ("postgresql://h/d?user=u&password=s3cret", true),
            ("postgresql://u@h/d", false),
            ("postgresql://h:5432/d", false),
            ("postgresql://u:@h/d", false),
        ] {
            assert_eq!(database::has_password(url), Some(has), "{url}");
        }
        assert_eq!(database::has_password("a:b@c"), None);
    }

    #[test]
    fn the_declaration_names_each_setting_alike_everywhere() {
        let declared = <Cli as clap::CommandFactory>::command();
        for command in declared.get_subcommands().chain([&declared]) {
            for argument in command.get_arguments().filter(|argument| argument.get_env().is_some()) {
                // by its id it is found in what was typed
                let id = argument.get_id().as_str();
                assert_eq!(argument.get_long().unwrap().replace('-', "_"), id);
                let variable = argument.get_env().unwrap().to_str().unwrap();
                assert!(variable.trim_start_matches(setting::PREFIX) == id.to_uppercase(), "{id}: {variable}");
            }
        }
    }

    #[test]
    fn help_has_todays_variables() {
        let text = refused(&["serve", "--help"]);
        assert!(text.contains("[env: ONCARE_LIVE_OPS_LISTEN="), "{text}");
    }

    /// Everybody on the machine reads arguments. A secret is named by a file, or stands in the environment; of the one that may have a
    /// password in it, that is said.
    #[test]
    fn no_argument_has_a_secret_but_the_url_that_is_warned_of() {
        let program = <Cli as clap::CommandFactory>::command();
        let mut arguments = 0;
        for command in program.get_subcommands() {
            for argument in command.get_arguments().filter(|argument| argument.get_action().takes_values()) {
                arguments += 1;
                let name = argument.get_id().as_str();
                let is_secret = ["password", "secret", "key", "token", "url"].iter().any(|word| name.contains(word));
                // what is hidden is refused as an argument
                let is_open = name.ends_with("_file") || ["database_url", "public_url"].contains(&name);
                let is_known = is_open || argument.is_hide_set();
                assert!(!is_secret || is_known, "{} --{name}", command.get_name());
                // nor does the help show what the environment has
                let has_secret = name == "database_url" || argument.is_hide_set();
                assert_eq!(argument.is_hide_env_values_set(), has_secret, "{name}");
            }
        }
        assert!(arguments > 40, "{arguments}");
    }

    #[test]
    fn there_is_no_argument_for_a_secret() {
        let error = loaded(&["create-user", "--username", "a", "--role", "admin", "--password", "x"], &[]).unwrap_err();
        let Refused::Arguments(error) = error else { panic!("{error:?}") };
        assert_eq!(error.kind(), ErrorKind::UnknownArgument);
        for secret in ["--database-password", "--django-secret-key", "--django-secret-key-fallbacks"] {
            for value in ["x", "s3cret-of-some-length"] {
                let text = refused(&["serve", secret, value]);
                assert!(text.starts_with(secret) && text.contains("_FILE") || text.contains("-file"), "{text}");
                assert!(!text.contains("s3cret"), "{text}");
            }
        }
    }
}
