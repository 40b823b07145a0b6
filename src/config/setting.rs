//! What can be set, read off the declaration of the arguments: whatever has a variable there. It is the one list there is.
//!
//! A setting's key in the file is its flag's name with `_` for `-`, and its variable is `ONCARE_LIVE_` before that. A declaration that
//! names another variable names a former one, which is still read.

use std::any::TypeId;
use std::path::PathBuf;

use clap::builder::{BoolishValueParser, OsStr, Resettable};
use clap::{Arg, ArgAction, Command};

use super::values::Secret;

/// What all variables begin with.
pub(super) const PREFIX: &str = "ONCARE_LIVE_";

/// The setting that names the file, which the file can't have.
pub(super) const FILE: &str = "config";

/// Names that are standard, and told of nobody: beginnings of former variables.
const STANDARD: [&str; 2] = ["DATABASE_URL", "DJANGO_SECRET_KEY"];

/// What a value is in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    Number,
    Text,
    /// Several texts, or one.
    List,
}

/// One setting.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    /// Its key in the file.
    pub key: String,
    pub flag: String,
    pub variable: String,
    /// A variable that is read where the other one is not there.
    pub former: Option<String>,
    pub kind: Kind,
    /// Whether nothing may show it.
    pub is_secret: bool,
    /// Whether no argument may have it.
    pub is_no_flag: bool,
    /// Whether it need not be text.
    pub is_bytes: bool,
    pub default: Option<String>,
}

impl Setting {
    fn of(argument: &Arg) -> Option<Self> {
        let declared = argument.get_env()?.to_str()?;
        let flag = argument.get_long()?;
        let key = flag.replace('-', "_");
        let variable = format!("{PREFIX}{}", key.to_uppercase());
        let former = (declared != variable).then(|| declared.to_owned());
        let parsed = argument.get_value_parser().type_id();
        let is_a = |types: &[TypeId]| types.iter().any(|one| parsed == *one);
        let kind = match argument.get_action() {
            ArgAction::SetTrue => Kind::Boolean,
            ArgAction::Append => Kind::List,
            _ if is_a(&[TypeId::of::<usize>(), TypeId::of::<u16>(), TypeId::of::<u32>(), TypeId::of::<u64>()]) => {
                Kind::Number
            }
            _ => Kind::Text,
        };
        let default = argument.get_default_values().first().and_then(|default| default.to_str());
        let default = if kind == Kind::Boolean { Some("false") } else { default };
        Some(Self {
            variable,
            former,
            kind,
            is_secret: argument.is_hide_env_values_set(),
            is_no_flag: argument.is_hide_set(),
            is_bytes: is_a(&[TypeId::of::<PathBuf>(), TypeId::of::<Secret>()]),
            default: default.map(str::to_owned),
            flag: format!("--{flag}"),
            key,
        })
    }

    /// Whether its former variable is read without a word.
    pub(super) fn is_standard(&self) -> bool {
        self.former.as_ref().is_some_and(|former| STANDARD.iter().any(|start| former.starts_with(start)))
    }
}

/// The settings of one command, in their order, and then those of all commands.
pub(super) fn of_command(program: &Command, name: &str) -> Vec<Setting> {
    let command = program.find_subcommand(name);
    let own = command.into_iter().flat_map(Command::get_arguments);
    own.chain(program.get_arguments()).filter_map(Setting::of).collect()
}

/// The settings of all commands, each once.
pub(super) fn of_all(program: &Command) -> Vec<Setting> {
    let mut all: Vec<Setting> = Vec::new();
    let arguments = program.get_subcommands().flat_map(Command::get_arguments).chain(program.get_arguments());
    for setting in arguments.filter_map(Setting::of) {
        if all.iter().all(|known| known.key != setting.key) {
            all.push(setting);
        }
    }
    all
}

/// The program as its help and its manual page have it: with today's variables.
pub(super) fn shown(program: Command) -> Command {
    with_settings(program, |setting, argument| argument.env(setting.variable))
}

/// The program as arguments are parsed: variables are read before, so that what is wrong with one is called by its name.
pub(super) fn parsed(program: Command) -> Command {
    with_settings(program, |_, argument| argument.env(Resettable::<OsStr>::Reset))
}

/// What the environment or the file says true of, a flag can say false of.
fn with_settings(program: Command, adapt: fn(Setting, Arg) -> Arg) -> Command {
    let adapted = move |argument: Arg| {
        let Some(setting) = Setting::of(&argument) else { return argument };
        let argument = match setting.kind {
            Kind::Boolean => argument
                .action(ArgAction::Set)
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true")
                .default_value("false")
                .value_name("true|false")
                .hide_possible_values(true)
                .value_parser(BoolishValueParser::new()),
            Kind::Number | Kind::Text | Kind::List => argument,
        };
        adapt(setting, argument)
    };
    program.mut_args(adapted).mut_subcommands(|command| command.mut_args(adapted))
}

/// The known name that somebody most probably meant.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const ALIKE: f64 = 0.8;
    let alike = known.map(|known| (strsim::jaro_winkler(name, known), known)).filter(|(alike, _)| *alike > ALIKE);
    alike.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, known)| known)
}
