//! The command line, the environment and the file as its users meet them, each by starting the program.

use std::process::Stdio;

use clap::CommandFactory;
use oncare_live::config::Cli;
use tokio::process::Command;

use crate::harness::instance;

/// With nothing in its environment but where programs are.
fn program() -> Command {
    let mut command = Command::new(instance::program());
    command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

async fn printed(arguments: &[&str]) -> String {
    let output = program().args(arguments).output().await.unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn the_manual_page_and_the_completions_have_every_command_and_every_flag() {
    let page = printed(&["man"]).await;
    assert!(page.contains("\n.TH oncare-live 1 "), "{page}");
    let mut scripts = Vec::new();
    for (shell, flag) in [("bash", "--"), ("zsh", "--"), ("fish", "-l ")] {
        scripts.push((shell, flag, printed(&["completions", shell]).await));
    }
    let mut program = Cli::command();
    program.build();
    for command in program.get_subcommands().filter(|command| command.get_name() != "help") {
        let name = command.get_name();
        let heading = format!(".SH \"{}\"\n", name.to_uppercase());
        assert!(page.contains(&heading), "{name}");
        for long in command.get_arguments().filter_map(clap::Arg::get_long) {
            let escaped = format!("\\-\\-{}", long.replace('-', "\\-"));
            assert!(page.contains(&escaped), "the manual page has no --{long}");
            for (shell, flag, script) in &scripts {
                assert!(script.contains(name) && script.contains(&format!("{flag}{long}")), "{shell}: {name} --{long}");
            }
        }
    }
    let completed = Command::new("bash")
        .args(["-c", "eval \"$1\"; COMP_WORDS=(oncare-live serve --ops-l); COMP_CWORD=2; _oncare__live oncare-live --ops-l serve; echo \"${COMPREPLY[@]}\"", "-"])
        .arg(&scripts[0].2)
        .output()
        .await
        .unwrap();
    assert_eq!(String::from_utf8(completed.stdout).unwrap(), "--ops-listen\n");
}
