//! Servers of others, which end with the test that started them, however that ends.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use tokio::process::{Child, Command};

/// Runs a server in a process group with itself, and ends the group when the pipe from the test's process is closed, or when the
/// server has ended by itself.
const SUPERVISOR: &str = r#"
exec 3<&0
("$@" </dev/null 3<&-; kill -KILL 0) &
read -r line <&3
kill -KILL 0
"#;

/// A server, with the processes that it starts.
pub struct Supervised {
    supervisor: Child,
}

impl Supervised {
    /// Starts a server, which writes what it says to a file.
    pub fn start(server: &Command, said: &Path) -> Self {
        let server = server.as_std();
        let said = File::create(said).unwrap();
        let mut supervisor = Command::new("/bin/sh");
        supervisor.args(["-c", SUPERVISOR, "sh"]).arg(server.get_program()).args(server.get_args());
        for (name, value) in server.get_envs() {
            supervisor.env(name, value.unwrap());
        }
        if let Some(folder) = server.get_current_dir() {
            supervisor.current_dir(folder);
        }
        // a shell without a terminal makes no groups
        supervisor.process_group(0).stdin(Stdio::piped()).stdout(said.try_clone().unwrap()).stderr(said);
        Self { supervisor: supervisor.spawn().expect("sh runs") }
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.supervisor.try_wait().unwrap().is_some()
    }
}
