//! A script as browsers get it: which modules it imports, and its text without comments.

use tree_sitter::{Node, Parser};

/// What a module of `static/js` says and needs.
pub(crate) struct Script {
    /// The modules that it imports, as they stand in its import statements: relative to its own folder.
    pub(crate) imports: Vec<String>,
    /// Its text without comments, which are a third of it and for who reads its source, without empty lines and without
    /// indentation; but a text of several lines in it is left as it is.
    pub(crate) text: String,
}

impl Script {
    /// Reads a script; what can't be parsed is kept as it is, and imports nothing.
    pub(crate) fn parse(source: &str) -> Self {
        let mut parser = Parser::new();
        let tree = parser
            .set_language(&tree_sitter_javascript::LANGUAGE.into())
            .ok()
            .and_then(|()| parser.parse(source, None));
        let Some(tree) = tree.filter(|tree| !tree.root_node().has_error()) else {
            return Self { imports: Vec::new(), text: source.to_owned() };
        };
        let mut imports = Vec::new();
        let mut text = String::with_capacity(source.len());
        let mut kept = 0;
        let mut has_long_text = false;
        visit(tree.root_node(), &mut |node| match node.kind() {
            "comment" => {
                text.push_str(&source[kept..node.start_byte()]);
                kept = node.end_byte();
            }
            "import_statement" => {
                let module = node.child_by_field_name("source").map(|name| &source[name.byte_range()]);
                imports.extend(module.map(|name| name.trim_matches(['"', '\'']).to_owned()));
            }
            "template_string" => has_long_text |= node.start_position().row < node.end_position().row,
            _ => {}
        });
        text.push_str(&source[kept..]);
        if !has_long_text {
            let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            text = lines.join("\n") + "\n";
        }
        Self { imports, text }
    }
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
        assert_eq!(Script::parse(script).text, "let a = 1;\nb( (a), \"// no\", /\\/*x/);\n");
    }

    #[test]
    fn a_text_of_several_lines_is_left_as_it_is() {
        let script = "let a = `one\n\n    two  \n`;\n";
        assert_eq!(Script::parse(script).text, script);
    }

    #[test]
    fn imports_are_found_however_they_are_written() {
        let script = "/** @import { T } from \"./types.js\" */\nimport { a } from \"./a.js\";\nimport {\n  b,\n  c,\n} from '../base/b.js';\nimport \"./c.js\";\nconst d = 'import { x } from \"./d.js\"';\n";
        assert_eq!(Script::parse(script).imports, ["./a.js", "../base/b.js", "./c.js"]);
    }

    #[test]
    fn what_cannot_be_parsed_is_sent_as_it_is() {
        let script = "let = ; // so\n";
        assert_eq!(Script::parse(script).text, script);
    }
}
