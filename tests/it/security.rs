//! The threat model on a page, SECURITY.md.

#[test]
fn the_threat_model_names_tests_that_there_are() {
    let root = env!("CARGO_MANIFEST_DIR");
    let text = std::fs::read_to_string(format!("{root}/SECURITY.md")).unwrap();
    let named = text.split('`').skip(1).step_by(2).filter_map(|code| code.split_once("::"));
    let mut tests = 0;
    for (file, test) in named {
        let source = std::fs::read_to_string(format!("{root}/tests/it/{file}.rs")).unwrap_or_else(|_| panic!("{file}"));
        assert!(source.contains(&format!("fn {test}(")), "{file}::{test}");
        tests += 1;
    }
    assert!(tests > 20, "{tests}");
}
