//! The manual page: one for the program, with a section for each of its commands.

use std::io;

use clap::Command;
use clap_mangen::Man;

/// The page oncare-live(1), for `man`.
///
/// # Errors
/// None, as it is written to memory; what writes it may have some.
pub fn page(program: Command) -> io::Result<String> {
    let mut program = program.disable_help_subcommand(true);
    program.build();
    let mut page = Vec::new();
    let man = Man::new(program.clone());
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_options_section(&mut page)?;
    let mut page = text(page)?;
    for command in program.get_subcommands().filter(|command| !command.is_hide_set()) {
        page.push_str(&format!(".SH \"{}\"\n", command.get_name().to_uppercase()));
        page.push_str(&section(command.clone())?);
    }
    Ok(page)
}

/// What a page of its own would say of a command, a heading lower. What all commands have is said once.
fn section(command: Command) -> io::Result<String> {
    let has_own = |command: &Command| command.get_arguments().any(|argument| !argument.is_hide_set());
    let command = command.mut_args(|argument| {
        let is_of_all = argument.is_global_set() || ["help", "version"].contains(&argument.get_id().as_str());
        argument.hide(is_of_all)
    });
    let mut part = Vec::new();
    let has_own = has_own(&command);
    let man = Man::new(command);
    man.render_description_section(&mut part)?;
    man.render_synopsis_section(&mut part)?;
    if has_own {
        man.render_options_section(&mut part)?;
    }
    // its first heading would stand under the command's own, with nothing between
    let part = text(part)?.replacen(".SH DESCRIPTION\n", "", 1);
    Ok(part.replace(".SH ", ".SS "))
}

fn text(page: Vec<u8>) -> io::Result<String> {
    String::from_utf8(page).map_err(io::Error::other)
}
