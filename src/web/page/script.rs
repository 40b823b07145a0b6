//! A script as browsers get it: which modules it imports, and its text without comments and needless spaces; and as a part of a classic script, which
//! knows no modules.

use std::ops::Range;

use tree_sitter::{Node, Parser, Tree};

/// What a module of `static/js` says and needs.
pub(crate) struct Script {
    /// The modules that it imports, as they stand in its import statements: relative to its own folder.
    pub(crate) imports: Vec<String>,
    /// Its text without comments, which are a third of it and for who reads its source, without empty lines, without
    /// indentation and without the spaces beside signs; but a text of several lines in it is left as it is.
    pub(crate) text: String,
}

impl Script {
    /// Reads a script; what can't be parsed is kept as it is, and imports nothing.
    pub(crate) fn parse(source: &str) -> Self {
        let Some(tree) = tree(source) else {
            return Self { imports: Vec::new(), text: source.to_owned() };
        };
        let mut imports = Vec::new();
        visit(tree.root_node(), &mut |node| {
            if node.kind() == "import_statement" {
                imports.extend(imported(node, source));
            }
        });
        Self { imports, text: shortened(source, &tree, Vec::new()) }
    }
}

/// What a module says that a classic script can't have as our modules say it: see [`Part::parse`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{module}: what a classic script can't have: {what}")]
pub(crate) struct Unsupported {
    module: String,
    what: String,
}

/// A module as a part of a classic script: an expression that runs the module and has what it exports.
pub(crate) struct Part {
    /// The expression.
    pub(crate) text: String,
}

impl Part {
    /// Reads a module in the few forms that `static/js` uses: named imports, and exports of functions, classes and constants where
    /// they are declared. Others are refused rather than taken for something else.
    ///
    /// `variable` says which variable has what another module exports; `meta` is the expression that stands for `import.meta`.
    ///
    /// # Errors
    /// If the module can't be parsed, or uses something else.
    pub(crate) fn parse(
        module: &str,
        source: &str,
        meta: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Unsupported> {
        let unsupported = |what: &str| Unsupported { module: module.to_owned(), what: what.to_owned() };
        let tree = tree(source).ok_or_else(|| unsupported("what can't be parsed"))?;
        let text = |node: Node<'_>| &source[node.byte_range()];
        let mut edits: Vec<(Range<usize>, String)> = Vec::new();
        let mut exports: Vec<&str> = Vec::new();
        for statement in tree.root_node().named_children(&mut tree.walk()) {
            match statement.kind() {
                "import_statement" => {
                    let name = imported(statement, source).unwrap_or_default();
                    let from = variable(&name).ok_or_else(|| unsupported(text(statement)))?;
                    let names = imported_names(statement, source).ok_or_else(|| unsupported(text(statement)))?;
                    edits.push((statement.byte_range(), format!("const {{ {} }} = {from};", names.join(", "))));
                }
                "export_statement" => {
                    let declared = statement.child_by_field_name("declaration");
                    let names = declared.and_then(|declared| declared_names(declared, source));
                    let (declared, names) = declared.zip(names).ok_or_else(|| unsupported(text(statement)))?;
                    exports.extend(names);
                    edits.push((statement.start_byte()..declared.start_byte(), String::new()));
                }
                _ => {}
            }
        }
        let mut refused = None;
        visit(tree.root_node(), &mut |node| match node.kind() {
            "meta_property" if text(node) == "import.meta" => edits.push((node.byte_range(), format!("({meta})"))),
            // of its own, as in `import("./a.js")`
            "import" if node.parent().is_some_and(|parent| parent.kind() == "call_expression") => {
                refused = Some(node.byte_range())
            }
            "await_expression" if !is_in_function(node) => refused = Some(node.byte_range()),
            _ => {}
        });
        if let Some(place) = refused {
            return Err(unsupported(&source[place]));
        }
        let body = shortened(source, &tree, edits);
        Ok(Self { text: format!("(() => {{\n{body}return {{ {} }};\n}})()", exports.join(", ")) })
    }
}

/// What an import statement names; nothing where that is not between braces.
fn imported_names(statement: Node<'_>, source: &str) -> Option<Vec<String>> {
    let clause = statement.named_children(&mut statement.walk()).find(|child| child.kind() == "import_clause")?;
    let named = (clause.named_child_count() == 1).then(|| clause.named_child(0))??;
    let specifiers: Vec<Node<'_>> =
        named.named_children(&mut named.walk()).filter(|child| child.kind() != "comment").collect();
    if named.kind() != "named_imports" || specifiers.is_empty() {
        return None;
    }
    let names = specifiers.into_iter().map(|specifier| {
        let part = |field: &str| specifier.child_by_field_name(field).map(|name| &source[name.byte_range()]);
        let name = part("name")?;
        Some(part("alias").map_or_else(|| name.to_owned(), |alias| format!("{name}: {alias}")))
    });
    names.collect()
}

/// What an exported declaration declares; nothing where that can change, or is not simply named.
fn declared_names<'a>(declared: Node<'_>, source: &'a str) -> Option<Vec<&'a str>> {
    let name = |node: Node<'_>| {
        let name = node.child_by_field_name("name")?;
        (name.kind() == "identifier").then(|| &source[name.byte_range()])
    };
    match declared.kind() {
        "function_declaration" | "class_declaration" => Some(vec![name(declared)?]),
        "lexical_declaration" if source[declared.byte_range()].starts_with("const ") => {
            let declarators = declared.named_children(&mut declared.walk()).collect::<Vec<_>>();
            declarators.into_iter().filter(|node| node.kind() == "variable_declarator").map(name).collect()
        }
        _ => None,
    }
}

fn is_in_function(node: Node<'_>) -> bool {
    let mut above = node.parent();
    while let Some(parent) = above {
        if matches!(
            parent.kind(),
            "function_declaration" | "function_expression" | "arrow_function" | "method_definition"
        ) {
            return true;
        }
        above = parent.parent();
    }
    false
}

/// The syntax of a script; nothing where it can't be parsed.
fn tree(source: &str) -> Option<Tree> {
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_javascript::LANGUAGE.into()).ok()?;
    parser.parse(source, None).filter(|tree| !tree.root_node().has_error())
}

/// The module that an import statement names, as it stands there.
fn imported(statement: Node<'_>, source: &str) -> Option<String> {
    let name = statement.child_by_field_name("source").map(|name| &source[name.byte_range()])?;
    Some(name.trim_matches(['"', '\'']).to_owned())
}

/// Signs that need no space beside them. Those are left out that make another sign with one of these or with a second of their kind.
const ALONE: [char; 14] = ['(', ')', '{', '}', '[', ']', ';', ',', '=', '?', ':', '&', '|', '>'];

/// A script without comments, empty lines, indentation and spaces beside signs, and with these parts of it replaced.
fn shortened(source: &str, tree: &Tree, mut edits: Vec<(Range<usize>, String)>) -> String {
    let mut has_long_text = false;
    let mut end = 0;
    visit(tree.root_node(), &mut |node| {
        match node.kind() {
            "comment" => edits.push((node.byte_range(), String::new())),
            "template_string" => has_long_text |= node.start_position().row < node.end_position().row,
            _ => {}
        }
        if node.child_count() > 0 {
            return;
        }
        // what is between the words of a text belongs to it
        let is_text = node.prev_sibling().and_then(|before| before.parent());
        let is_text = is_text.is_some_and(|text| matches!(text.kind(), "string" | "template_string" | "regex"));
        let (space, begin) = (end..node.start_byte(), node.start_byte());
        let is_needless = source[..end].ends_with(ALONE) || source[begin..].starts_with(ALONE);
        if !is_text && is_needless && !space.is_empty() && source[space.clone()].bytes().all(|byte| byte == b' ') {
            edits.push((space, String::new()));
        }
        end = node.end_byte();
    });
    edits.sort_by_key(|(place, _)| place.start);
    let mut text = String::with_capacity(source.len());
    let mut kept = 0;
    for (place, replacement) in edits {
        // what stands in a part that is replaced goes with it
        if place.start >= kept {
            text.push_str(&source[kept..place.start]);
            text.push_str(&replacement);
            kept = place.end;
        }
    }
    text.push_str(&source[kept..]);
    if has_long_text {
        return text;
    }
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("\n") + "\n"
}

/// Every node of a tree, each before what is in it, in the order of the text.
fn visit(node: Node<'_>, see: &mut impl FnMut(Node<'_>)) {
    see(node);
    for child in node.children(&mut node.walk()) {
        visit(child, see);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_not_sent() {
        let script = "/** What it is. */\nlet a = 1; // one\n\n  /*\n   * More.\n   */\n  b(/** @type {T} */ (a), \"// no\", /\\/*x/);\n";
        assert_eq!(Script::parse(script).text, "let a=1;\nb((a),\"// no\",/\\/*x/);\n");
    }

    #[test]
    fn no_space_that_matters_goes() {
        let script = "const a = `x  ${ b } = ( y`, c = \"( ; \", d = / = ( /u;\nif (a > b && typeof (c) === 'd ') return - -a + +b ? .5 : !d;\n";
        let sent = "const a=`x  ${b} = ( y`,c=\"( ; \",d=/ = ( /u;\nif(a>b&&typeof(c)==='d ')return - -a + +b?.5:!d;\n";
        assert_eq!(Script::parse(script).text, sent);
    }

    #[test]
    fn a_text_of_several_lines_is_left_as_it_is() {
        let script = "let a = `one\n\n    two  \n`;\n";
        assert_eq!(Script::parse(script).text, script.replace(" = ", "="));
    }

    #[test]
    fn imports_are_found_however_they_are_written() {
        let script = "/** @import { T } from \"./types.js\" */\nimport { a } from \"./a.js\";\nimport {\n  b,\n  c,\n} from '../base/b.js';\nimport \"./c.js\";\nconst d = 'import { x } from \"./d.js\"';\n";
        assert_eq!(Script::parse(script).imports, ["./a.js", "../base/b.js", "./c.js"]);
    }

    fn part(source: &str) -> Result<String, Unsupported> {
        let variable = |name: &str| (name == "./b.js").then(|| "module1".to_owned());
        Part::parse("a.js", source, "{ url: \"/js/a.js\" }", variable).map(|part| part.text)
    }

    #[test]
    fn a_module_becomes_an_expression() {
        let source = "/** What it is. */\nimport {\n  b, // one\n  c as d,\n} from \"./b.js\";\n\n/** @type {T} */\nexport const e = b, f = 1;\nexport async function g() {\n  await d(`${import.meta.url} x`);\n}\nexport class H {}\n";
        let expected = "(() => {\nconst { b, c: d } = module1;\nconst e=b,f=1;\nasync function g(){\nawait d(`${({ url: \"/js/a.js\" }).url} x`);\n}\nclass H{}\nreturn { e, f, g, H };\n})()";
        assert_eq!(part(source).unwrap(), expected);
        assert_eq!(part("a();\n").unwrap(), "(() => {\na();\nreturn {  };\n})()");
    }

    #[test]
    fn what_a_classic_script_can_not_have_is_refused() {
        for source in [
            "import b from \"./b.js\";",
            "import * as b from \"./b.js\";",
            "import \"./b.js\";",
            "import { c } from \"./c.js\";",
            "export default 1;",
            "export let a = 1;",
            "export const { a } = b;",
            "export { a };",
            "export * from \"./b.js\";",
            "const b = await a();",
            "const b = () => import(\"./b.js\");",
            "let = ;",
        ] {
            assert!(part(source).is_err(), "{source}");
        }
    }

    #[test]
    fn what_cannot_be_parsed_is_sent_as_it_is() {
        let script = "let = ; // so\n";
        assert_eq!(Script::parse(script).text, script);
    }
}
