//! The variables.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use super::given::{Given, Source};
use super::setting::{PREFIX, Setting, nearest};

/// Names that other programs give to something else, as perf does to `PREFIX`: they were read once, and no longer are.
const NO_LONGER_READ: [&str; 3] = ["LISTEN", "LOG", "PREFIX"];

/// The variables that the process was started with.
pub(super) struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    pub(super) fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self(variables.into_iter().collect())
    }

    /// What is said of a setting.
    pub(super) fn given(&self, setting: &Setting) -> Option<Given> {
        let named = |name: &String, source: fn(String) -> Source| {
            let value = self.0.get(OsStr::new(name))?;
            Some(Given { source: source(name.clone()), values: vec![value.clone()] })
        };
        let former = || named(setting.former.as_ref()?, Source::Former);
        named(&setting.variable, Source::Variable).or_else(former)
    }

    /// What nobody reads: in the prefix of ours it is a slip.
    pub(super) fn unknown(&self, settings: &[Setting]) -> Vec<String> {
        let known = || settings.iter().map(|setting| setting.variable.as_str());
        let unknown = self.0.iter().filter_map(|(name, value)| {
            let name = name.to_string_lossy();
            let is_known = known().any(|known| known == name);
            (name.starts_with(PREFIX) && !is_known && !is_of_kubernetes(&name, value)).then_some(name)
        });
        let said = unknown.map(|name| match nearest(&name, known()) {
            Some(meant) => format!("{name}: there is no such setting; did you mean {meant}?"),
            None => format!("{name}: there is no such setting"),
        });
        said.collect()
    }

    /// Variables that somebody may have set in vain.
    pub(super) fn no_longer_read(&self, is_given: impl Fn(&str) -> bool) -> Vec<&'static str> {
        let in_vain = |name: &&str| self.0.contains_key(OsStr::new(name)) && !is_given(&format!("{PREFIX}{name}"));
        NO_LONGER_READ.into_iter().filter(in_vain).collect()
    }
}

/// Whether Kubernetes tells by it where a service named oncare-live is, as it does in every container beside it.
fn is_of_kubernetes(name: &str, value: &OsStr) -> bool {
    let is_port = |(_, rest): (&str, &str)| rest.starts_with(|c: char| c.is_ascii_digit());
    let is_address = value.to_str().is_some_and(|value| value.starts_with("tcp://") || value.starts_with("udp://"));
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.ends_with("_PORT") && is_address
        || name.rsplit_once("_PORT_").is_some_and(is_port)
        || name.split_once("_PORT_").is_some_and(is_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubernetes_says_of_a_service_is_no_slip() {
        for (name, value, is_its) in [
            ("ONCARE_LIVE_SERVICE_HOST", "10.0.0.1", true),
            ("ONCARE_LIVE_SERVICE_PORT_HTTP", "80", true),
            ("ONCARE_LIVE_PORT", "tcp://10.0.0.1:80", true),
            ("ONCARE_LIVE_OPS_PORT_9464_TCP_PORT", "9464", true),
            ("ONCARE_LIVE_PORT", "8080", false),
            ("ONCARE_LIVE_LISTNE", "tcp://10.0.0.1:80", false),
        ] {
            assert_eq!(is_of_kubernetes(name, OsStr::new(value)), is_its, "{name}={value}");
        }
    }
}
