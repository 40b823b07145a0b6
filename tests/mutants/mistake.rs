//! Which of the mistakes of `tests/mutants/program.patch` this program makes: the one that `MISTAKE` names.

/// Whether it makes that one.
pub(crate) fn is_made(name: &str) -> bool {
    std::env::var_os("MISTAKE").is_some_and(|made| made == name)
}

/// A source as it is, or with another text in the place of one, if that mistake is made.
pub(crate) fn in_text(name: &str, right: &str, text: &str, mistaken: &str) -> String {
    assert!(right.contains(text), "the mistake {name} fits what it is made in");
    if is_made(name) { right.replace(text, mistaken) } else { right.to_owned() }
}

/// The same in a statement.
pub(crate) fn in_statement(name: &str, right: &'static str, text: &str, mistaken: &str) -> &'static str {
    in_text(name, right, text, mistaken).leak()
}
