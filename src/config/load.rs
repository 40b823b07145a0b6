//! Arguments, variables and file put together. A flag goes before a variable, that before the file, and that before the default.
//!
//! The declaration of the arguments is the one door: whatever the variables and the file say is passed to its parsers as if it had
//! been typed, and what they refuse is called by the name that it has where it stands.

use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches};

use super::cli::Cli;
use super::database::has_password;
use super::entry::Entry;
use super::environment::Environment;
use super::file::File;
use super::given::{Given, Source};
use super::setting::{FILE, Kind, PREFIX, Setting, of_all, of_command, parsed, shown};
use super::{print, secret_file};
use crate::store::chain;

/// The command that prints what another one is configured with, and that other one where none is named.
const PRINTS: &str = "config";
const USUAL: &str = "serve";

/// What the process was started with.
#[derive(Debug)]
pub struct Loaded {
    /// Command and settings.
    pub cli: Cli,
    /// Where `config` asked for it, what the command is configured with, in place of obeying it.
    pub printed: Option<String>,
    /// What is to be told once there is a log.
    pub notices: Vec<String>,
    /// The keys of what was given, each with the name that it was given by.
    names: Vec<(String, String)>,
}

impl Loaded {
    /// Looks for what the command would find wrong with its configuration, before it does anything.
    ///
    /// # Errors
    /// What does not go together or is missing. What was given is called by the name that it has where it stands.
    pub fn check(&self) -> Result<(), String> {
        self.cli.command.check().map_err(|error| {
            let text = chain(error.as_ref());
            let is_of_key = |c: char| c.is_ascii_lowercase() || c == '_';
            let words = text.split_inclusive(|c| !is_of_key(c)).map(|word| {
                let key = word.trim_end_matches(|c| !is_of_key(c));
                let name = self.names.iter().find(|(known, _)| known == key);
                name.map_or_else(|| word.to_owned(), |(_, name)| format!("{name}{}", &word[key.len()..]))
            });
            words.collect()
        })
    }
}

/// What was given, by key and by name. A secret in a file has that file's name.
fn names(entries: &[Entry]) -> Vec<(String, String)> {
    let settings = entries.iter().filter(|entry| entry.setting.key != FILE);
    let named = settings.filter_map(|entry| Some((entry, entry.taken()?.name(&entry.setting))));
    let of_secrets = |(entry, name): (&Entry, String)| {
        let key = &entry.setting.key;
        let secret = key.strip_suffix("_file").filter(|key| entries.iter().any(|other| other.setting.key == *key));
        secret.map(|secret| (secret.to_owned(), name.clone())).into_iter().chain([(key.clone(), name)])
    };
    named.flat_map(of_secrets).collect()
}

/// Why it can't begin.
#[derive(Debug)]
pub enum Refused {
    /// The arguments are wrong, or ask for help.
    Arguments(clap::Error),
    /// Each of these is wrong.
    Settings(Vec<String>),
}

impl From<clap::Error> for Refused {
    fn from(error: clap::Error) -> Self {
        Self::Arguments(error)
    }
}

/// Puts them together. The first argument is the program's name.
///
/// # Errors
/// What is wrong, all of it, by the name that it has where it stands.
pub fn load(
    arguments: impl IntoIterator<Item = OsString>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded, Refused> {
    let program = Program { declared: Cli::command(), parsed: parsed(Cli::command()) };
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let environment = Environment::new(variables);
    let matches = program.parse(&arguments)?;
    match matches.subcommand() {
        Some((PRINTS, printer)) => {
            let arguments = program.of_printed(&arguments, printer);
            let matches = program.parse(&arguments)?;
            let (loaded, entries) = program.settle(&matches, &environment)?;
            let command = matches.subcommand_name().unwrap_or(USUAL);
            Ok(Loaded { printed: Some(print::text(command, &entries)), ..loaded })
        }
        _ => Ok(program.settle(&matches, &environment)?.0),
    }
}

/// The program as help and manual page have it.
#[must_use]
pub fn program() -> Command {
    shown(Cli::command())
}

/// The program as shells complete it: without the flags that are refused, and with the commands that can be printed.
#[must_use]
pub fn completed() -> Command {
    let program = without_hidden(&Cli::command());
    let commands: Vec<String> = program.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    program.mut_subcommands(|command| match command.get_name() {
        PRINTS => command.mut_arg("words", |words| words.value_parser(PossibleValuesParser::new(&commands))),
        _ => command,
    })
}

fn without_hidden(command: &Command) -> Command {
    let shown = command.get_arguments().filter(|argument| !argument.is_hide_set()).cloned();
    let about = command.get_about().cloned().unwrap_or_default();
    let copy = Command::new(command.get_name().to_owned()).about(about).args(shown);
    let version = command.get_version().map(str::to_owned);
    let copy = version.into_iter().fold(copy, Command::version);
    copy.subcommands(command.get_subcommands().map(without_hidden))
}

struct Program {
    declared: Command,
    parsed: Command,
}

/// What is passed to the parsers: of which entry, what an error calls it, and the values.
struct Passed {
    entry: usize,
    name: String,
    values: Vec<OsString>,
}

impl Program {
    /// The command line alone.
    fn parse(&self, arguments: &[OsString]) -> Result<ArgMatches, Refused> {
        let error = match self.parsed.clone().try_get_matches_from(arguments) {
            Ok(matches) => return Ok(matches),
            Err(error) => error,
        };
        if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand) {
            // with the variables' names, which are not read here
            return program().try_get_matches_from(arguments).map_err(Refused::from);
        }
        let settings = of_all(&self.declared);
        Err(match settings.iter().find(|setting| is_of(&error, setting)) {
            Some(setting) if setting.is_no_flag => Refused::Settings(vec![no_flag(setting)]),
            Some(setting) if setting.is_secret => {
                let mut error = error;
                error.insert(ContextKind::InvalidValue, ContextValue::String("***".to_owned()));
                error.into()
            }
            _ => error.into(),
        })
    }

    /// What would be typed to have the command itself.
    fn of_printed(&self, arguments: &[OsString], printer: &ArgMatches) -> Vec<OsString> {
        let mut words = printer.get_raw("words").into_iter().flatten().map(OsString::from).peekable();
        let command = words.next_if(|word| !word.to_string_lossy().starts_with('-'));
        let mut typed: Vec<OsString> = arguments.iter().take(1).cloned().collect();
        for setting in of_command(&self.declared, PRINTS) {
            if let Some(given) = by_flag(printer, &setting) {
                typed.extend(given.values.iter().map(|value| flag(&setting.flag, value)));
            }
        }
        typed.push(command.unwrap_or_else(|| USUAL.into()));
        typed.extend(words);
        typed
    }

    fn settle(&self, matches: &ArgMatches, environment: &Environment) -> Result<(Loaded, Vec<Entry>), Refused> {
        let (command, typed) = matches.subcommand().ok_or_else(|| clap::Error::new(ErrorKind::MissingSubcommand))?;
        let (all, settings) = (of_all(&self.declared), of_command(&self.declared, command));
        let mut wrong = environment.unknown(&all);
        wrong.extend(settings.iter().filter(|one| one.is_no_flag && by_flag(typed, one).is_some()).map(no_flag));
        let mut notices = Vec::new();

        let said = |setting: &Setting| by_flag(typed, setting).or_else(|| environment.given(setting));
        let named = settings.iter().find(|setting| setting.key == FILE).and_then(said);
        let path = named.as_ref().and_then(|given| given.values.first()).map(PathBuf::from);
        let file = match (&path, &named) {
            (Some(path), Some(named)) => File::read(path, &named.source.to_string(), &all),
            _ => Ok(File::default()),
        };
        let file = file.unwrap_or_else(|faults| {
            wrong.extend(faults);
            File::default()
        });
        if let Some(path) = path.as_deref().filter(|_| file.has_secret(&all)) {
            notices.extend(secret_file::open_to_all(path));
        }

        let mut entries: Vec<Entry> = settings
            .into_iter()
            .map(|setting| {
                let given = said(&setting).or_else(|| file.given(&setting));
                Entry::new(setting, given)
            })
            .collect();
        wrong.extend(take_one_of_two(&mut entries));
        let (mut passed, unread) = what_is_passed(&entries, &mut notices);
        wrong.extend(unread);
        let matches = loop {
            match self.parsed.clone().try_get_matches_from(self.typed(command, typed, &entries, &passed)) {
                Ok(matches) => break matches,
                Err(error) => {
                    let place = passed.iter().position(|passed| is_of(&error, &entries[passed.entry].setting));
                    let Some(place) = place else { return Err(error.into()) };
                    let Passed { entry, name, .. } = passed.remove(place);
                    wrong.push(format!("{name}: {}", why(&error, &entries[entry])));
                }
            }
        };
        if !wrong.is_empty() {
            return Err(Refused::Settings(wrong));
        }
        let of_command = matches.subcommand_matches(command).unwrap_or(&matches);
        for entry in entries.iter_mut().filter(|entry| entry.setting.kind == Kind::Boolean) {
            entry.switch = of_command.get_one::<bool>(&entry.setting.key).copied();
        }
        notices.extend(told_of(&entries, environment));
        let names = names(&entries);
        Ok((Loaded { cli: Cli::from_arg_matches(&matches)?, printed: None, notices, names }, entries))
    }

    /// The command with what is no setting as it was typed, and all settings as if they had been.
    fn typed(&self, name: &str, typed: &ArgMatches, entries: &[Entry], passed: &[Passed]) -> Vec<OsString> {
        let mut arguments = vec![OsString::from(self.declared.get_name()), name.into()];
        for Passed { entry, values, .. } in passed {
            arguments.extend(values.iter().map(|value| flag(&entries[*entry].setting.flag, value)));
        }
        let command = self.declared.find_subcommand(name).into_iter();
        for argument in command.flat_map(Command::get_arguments).filter(|argument| argument.get_env().is_none()) {
            let id = argument.get_id().as_str();
            if typed.value_source(id) != Some(ValueSource::CommandLine) {
                continue;
            }
            let raw = typed.get_raw(id).into_iter().flatten();
            match argument.get_long() {
                Some(long) if matches!(argument.get_action(), ArgAction::SetTrue) => {
                    arguments.push(format!("--{long}").into());
                }
                Some(long) => arguments.extend(raw.map(|value| flag(&format!("--{long}"), value))),
                None => arguments.extend(raw.map(OsString::from)),
            }
        }
        arguments
    }
}

fn flag(flag: &str, value: &std::ffi::OsStr) -> OsString {
    let mut argument = OsString::from(flag);
    argument.push("=");
    argument.push(value);
    argument
}

fn by_flag(typed: &ArgMatches, setting: &Setting) -> Option<Given> {
    let is_typed = typed.value_source(&setting.key) == Some(ValueSource::CommandLine);
    let values = typed.get_raw(&setting.key).filter(|_| is_typed)?.map(OsString::from).collect();
    Some(Given { source: Source::Flag(setting.flag.clone()), values })
}

fn no_flag(setting: &Setting) -> String {
    let Setting { flag, variable, .. } = setting;
    format!("{flag}: everybody on this machine can read arguments: expected {variable} or {flag}-file")
}

/// Whether it is this one's value that a parser refused.
fn is_of(error: &clap::Error, setting: &Setting) -> bool {
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else { return false };
    argument.split([' ', '=', '[']).next() == Some(&setting.flag)
}

/// What a parser expected, without what it was given.
fn why(error: &clap::Error, entry: &Entry) -> String {
    let expected = match (error.get(ContextKind::Custom), error.source(), error.get(ContextKind::ValidValue)) {
        _ if entry.setting.kind == Kind::Boolean => "expected true or false".to_owned(),
        (Some(ContextValue::String(expected)), ..) => expected.clone(),
        (_, Some(source), _) => source.to_string(),
        (.., Some(ContextValue::Strings(values))) if !values.is_empty() => {
            format!("expected one of {}", values.join(", "))
        }
        _ if entry.given.as_ref().is_some_and(|given| given.values.iter().all(|value| value.is_empty())) => {
            "expected a value".to_owned()
        }
        _ => error.kind().to_string(),
    };
    match (error.get(ContextKind::InvalidValue), entry.deprecated()) {
        (Some(ContextValue::String(one)), _) if is_one_of_several(one, entry) => format!("{one:?}: {expected}"),
        (_, Some(_)) => {
            format!("{expected}; if this is another program's, set {}, which goes before it", entry.setting.variable)
        }
        _ => expected,
    }
}

fn is_one_of_several(value: &str, entry: &Entry) -> bool {
    entry.setting.kind == Kind::List && entry.given.as_ref().is_some_and(|given| given.values != [value])
}

/// Of a secret and a file that has it the one with precedence; what is wrong is two of the same.
fn take_one_of_two(entries: &mut [Entry]) -> Vec<String> {
    let mut wrong = Vec::new();
    for secret in 0..entries.len() {
        let key = format!("{}_file", entries[secret].setting.key);
        let Some(file) = entries.iter().position(|entry| entry.setting.key == key) else { continue };
        let (Some(one), Some(other)) = (&entries[secret].given, &entries[file].given) else { continue };
        let names = [one.name(&entries[secret].setting), other.name(&entries[file].setting)];
        match one.source.rank().cmp(&other.source.rank()) {
            std::cmp::Ordering::Less => entries[secret].instead = Some(names[1].clone()),
            std::cmp::Ordering::Greater => entries[file].instead = Some(names[0].clone()),
            std::cmp::Ordering::Equal => {
                let [one, other] = names;
                wrong.push(format!("{one} and {other} are both given: expected one of them"));
                entries[secret].instead = Some(other);
                entries[file].instead = Some(one);
            }
        }
    }
    wrong
}

/// What the parsers get: what was given, and of a secret's file what is in it. And what can't be had.
fn what_is_passed(entries: &[Entry], notices: &mut Vec<String>) -> (Vec<Passed>, Vec<String>) {
    let (mut passed, mut wrong) = (Vec::new(), Vec::new());
    for (place, entry) in entries.iter().enumerate() {
        let Some(given) = entry.taken() else { continue };
        let name = given.named(&entry.setting);
        if !entry.setting.is_bytes && given.values.iter().any(|value| value.to_str().is_none()) {
            wrong.push(format!("{name}: expected text in UTF-8"));
            continue;
        }
        let secret = entry.setting.key.strip_suffix("_file");
        let secret = entries.iter().position(|other| Some(&*other.setting.key) == secret);
        if let (Some(secret), Some(file)) = (secret, given.values.first()) {
            match secret_file::read(Path::new(file)) {
                Err(error) => wrong.push(format!("{name}: {error}")),
                Ok(bytes) => {
                    let content = std::os::unix::ffi::OsStringExt::from_vec(bytes);
                    let content = Given { source: given.source.clone(), values: vec![content] };
                    if content.is_secret(&entries[secret].setting) {
                        notices.extend(secret_file::open_to_all(Path::new(file)));
                    }
                    passed.push(Passed { entry: secret, name: name.clone(), values: content.values });
                }
            }
        }
        passed.push(Passed { entry: place, name, values: given.values.clone() });
    }
    (passed, wrong)
}

/// What somebody should know, though nothing is wrong.
fn told_of(entries: &[Entry], environment: &Environment) -> Vec<String> {
    let mut told = Vec::new();
    let deprecated: Vec<&str> = entries.iter().filter_map(Entry::deprecated).collect();
    if !deprecated.is_empty() {
        told.push(format!(
            "deprecated variables are read: {}: put {PREFIX} before their names, which may mean another program's",
            deprecated.join(", ")
        ));
    }
    // of a command that has no such setting nothing was expected
    let is_set = |variable: &str| {
        let entry = entries.iter().find(|entry| entry.setting.variable == variable);
        entry.is_none_or(|entry| entry.given.is_some())
    };
    let no_longer = environment.no_longer_read(is_set);
    if !no_longer.is_empty() {
        told.push(format!(
            "variables are not read: {}: they may be another program's; for oncare-live, put {PREFIX} before their names",
            no_longer.join(", ")
        ));
    }
    let url = entries.iter().find(|entry| entry.setting.key == "database_url").and_then(Entry::taken);
    if let Some(Given { source: Source::Flag(_), values }) = url
        && values.iter().any(|url| has_password(&url.to_string_lossy()) == Some(true))
    {
        told.push(
            "--database-url has a password in it, which everybody on this machine can read: give it by \
             ONCARE_LIVE_DATABASE_URL, or in a file by --database-url-file or --database-password-file"
                .to_owned(),
        );
    }
    told
}
