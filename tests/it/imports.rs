//! The house's rooms stand in call order: of what one folder holds, files and folders, no two know each other, and none knows
//! itself by way of others.
//!
//! A file knows what it names: in a `use`, in a path anywhere in its code, macros included, and a `mod.rs` knows what it
//! declares and re-exports. So a file that reaches a sibling through their `mod.rs` is in a circle with that. A folder knows
//! what its files know, however deep they lie in it. What only tests see does not count.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, File, ItemMod, ItemUse, Macro, MetaList, UseTree, VisRestricted};

#[test]
fn no_two_rooms_and_no_two_files_know_each_other() {
    let mut house = BTreeMap::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut house);
    assert!(house.contains_key("lib.rs") && house.contains_key("web/mod.rs"), "the sources were read");
    let circles = circles(&house);
    assert!(circles.is_empty(), "circles of imports:\n{}", circles.join("\n"));
}

#[test]
fn a_circle_of_files_is_found() {
    let found = found(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::b::{self, B};"),
        ("b.rs", "use {std::fmt, super::c as other};"),
        ("c.rs", "fn f() -> bool { let x: Vec<u8> = crate::a::g(); x.is_empty() }"),
    ]);
    assert_eq!(found, ["in src/: a.rs → b.rs → c.rs → a.rs (a.rs → b.rs, b.rs → c.rs, c.rs → a.rs)"]);
}

#[test]
fn a_circle_in_a_macro_or_an_attribute_is_found() {
    let found = found(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "fn f() { tokio::select! { () = wait() => {}, x = super::b::run(1) => drop(x) } }"),
        ("b.rs", "#[arg(value_parser = crate::c::parse)] struct B;"),
        ("c.rs", "type C = super::a::A;"),
    ]);
    assert_eq!(found, ["in src/: a.rs → b.rs → c.rs → a.rs (a.rs → b.rs, b.rs → c.rs, c.rs → a.rs)"]);
}

#[test]
fn a_circle_behind_a_re_export_is_found() {
    let found = found(&[
        ("lib.rs", "mod room;"),
        ("room/mod.rs", "mod a; mod b; pub use a::A;"),
        ("room/a.rs", "pub struct A;"),
        ("room/b.rs", "use super::A;"),
    ]);
    assert_eq!(found, ["in src/room/: b.rs → mod.rs → b.rs (room/b.rs → room/mod.rs, room/mod.rs → room/b.rs)"]);
}

#[test]
fn a_circle_of_rooms_is_found_where_no_two_files_know_each_other() {
    let house = [
        ("lib.rs", "mod upper; mod lower; mod apart;"),
        ("upper/mod.rs", "pub mod a; pub mod b;"),
        ("upper/a.rs", "use crate::lower::c::C;"),
        ("upper/b.rs", ""),
        ("lower/mod.rs", "pub mod c; pub mod deep;"),
        ("lower/c.rs", ""),
        ("lower/deep/mod.rs", "mod d;"),
        ("lower/deep/d.rs", "use crate::upper::b::B;"),
        ("apart.rs", "use crate::upper::a;"),
    ];
    let edges = "lower/deep/d.rs → upper/b.rs, upper/a.rs → lower/c.rs";
    assert_eq!(found(&house), [format!("in src/: lower/ → upper/ → lower/ ({edges})")]);
}

#[test]
fn what_is_in_order_has_no_circle() {
    let found = found(&[
        ("lib.rs", "mod base; mod room;"),
        ("main.rs", "use oncare_live::room; fn main() { room::run() }"),
        ("base.rs", "pub(crate) struct Base; impl Base { fn of(self) -> Self { self } }"),
        ("room/mod.rs", "mod a; mod b; #[cfg(test)] mod trial; pub use b::B; pub fn run() { a::run(b::B) }"),
        ("room/a.rs", "use super::b::B; pub(super) fn run(b: B) { std::room::a::b(crate::base::Base) }"),
        ("room/b.rs", "pub struct B; #[cfg(test)] mod tests { use super::*; use crate::room::a::run; }"),
        ("room/trial.rs", "use super::{a, B};"),
    ]);
    assert_eq!(found, [""; 0]);
}

fn found(house: &[(&str, &str)]) -> Vec<String> {
    circles(&house.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
}

/// The sources below a folder: by the path below `src`.
fn read(folder: &Path, name: &str, house: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{name}{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            read(&path, &format!("{name}/"), house);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            house.insert(name, fs::read_to_string(path).unwrap());
        }
    }
}

/// From a file to another that it knows.
type Edge = (String, String);

/// The circles among the members of each folder: of each member the shortest that it is in.
fn circles(house: &BTreeMap<String, String>) -> Vec<String> {
    let modules: BTreeMap<Vec<String>, String> = house.keys().map(|file| (module(file), file.clone())).collect();
    let edges: Vec<Edge> = house.iter().flat_map(|(file, text)| edges(file, text, &modules)).collect();
    let folders: BTreeSet<&str> =
        house.keys().flat_map(|file| file.match_indices('/').map(|(end, _)| &file[..=end])).chain([""]).collect();
    folders.into_iter().flat_map(|folder| circles_in(folder, &edges)).collect()
}

/// The path of a file's module: of `web/mod.rs` and `web/app.rs` `web`, and `web`, `app`.
fn module(file: &str) -> Vec<String> {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    if path == "lib" { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
}

fn circles_in(folder: &str, edges: &[Edge]) -> Vec<String> {
    // of each member, whom it knows, with the files that show it
    let mut known: BTreeMap<&str, BTreeMap<&str, &Edge>> = BTreeMap::new();
    for edge in edges {
        if let (Some(from), Some(to)) = (member(folder, &edge.0), member(folder, &edge.1))
            && from != to
        {
            known.entry(from).or_default().entry(to).or_insert(edge);
        }
    }
    let ways = known.keys().filter_map(|start| way_back(start, &known));
    let mut seen = BTreeSet::new();
    let different = ways.filter(|way| seen.insert(way.iter().copied().collect::<BTreeSet<_>>()));
    let lines = different.map(|way| {
        let edges = way.windows(2).map(|pair| known[pair[0]][pair[1]]);
        let edges: Vec<String> = edges.map(|(from, to)| format!("{from} → {to}")).collect();
        format!("in src/{folder}: {} ({})", way.join(" → "), edges.join(", "))
    });
    lines.collect()
}

/// The file or folder in a folder that a file is, or is in.
fn member<'a>(folder: &str, file: &'a str) -> Option<&'a str> {
    let below = file.strip_prefix(folder)?;
    Some(below.find('/').map_or(below, |end| &below[..=end]))
}

/// The shortest way from a member back to it.
fn way_back<'a>(start: &'a str, known: &BTreeMap<&'a str, BTreeMap<&'a str, &Edge>>) -> Option<Vec<&'a str>> {
    let mut seen = BTreeSet::new();
    let mut ways = VecDeque::from([vec![start]]);
    while let Some(way) = ways.pop_front() {
        for next in known.get(way.last()?).into_iter().flat_map(BTreeMap::keys) {
            let longer = [way.as_slice(), &[*next]].concat();
            if *next == start {
                return Some(longer);
            }
            if seen.insert(*next) {
                ways.push_back(longer);
            }
        }
    }
    None
}

fn edges(file: &str, text: &str, modules: &BTreeMap<Vec<String>, String>) -> Vec<Edge> {
    let parsed: File = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
    let mut names = Names { modules, here: module(file), known: BTreeSet::new() };
    names.visit_file(&parsed);
    names.known.remove(file);
    names.known.into_iter().map(|known| (file.to_owned(), known)).collect()
}

/// Gathers the files that a file names something of.
struct Names<'a> {
    modules: &'a BTreeMap<Vec<String>, String>,
    here: Vec<String>,
    known: BTreeSet<String>,
}

impl Names<'_> {
    /// A path that stands in the present module: the file of its longest beginning that has one.
    fn name(&mut self, path: &[String]) {
        let supers = path.iter().take_while(|segment| *segment == "super").count();
        let (from, rest) = match path.first().map(String::as_str) {
            Some("crate" | "oncare_live") => (&[][..], &path[1..]),
            Some("self") => (&self.here[..], &path[1..]),
            Some("super") => (&self.here[..self.here.len().saturating_sub(supers)], &path[supers..]),
            _ => (&self.here[..], path),
        };
        // a path that begins with another name is one of ours only if that is a child's
        let shortest = from.len() + usize::from(rest.len() == path.len());
        let full = [from, rest].concat();
        let file = (shortest..=full.len()).rev().find_map(|length| self.modules.get(&full[..length]));
        self.known.extend(file.cloned());
    }

    fn name_tree(&mut self, path: &[String], tree: &UseTree) {
        let with = |ident: &syn::Ident| [path, &[ident.to_string()]].concat();
        match tree {
            UseTree::Path(tree) => self.name_tree(&with(&tree.ident), &tree.tree),
            UseTree::Name(tree) if tree.ident == "self" => self.name(path),
            UseTree::Name(tree) => self.name(&with(&tree.ident)),
            UseTree::Rename(tree) if tree.ident == "self" => self.name(path),
            UseTree::Rename(tree) => self.name(&with(&tree.ident)),
            UseTree::Glob(_) => self.name(path),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.name_tree(path, tree)),
        }
    }

    /// The paths in what only a macro understands. A name alone is none: it may be a word of the macro's.
    fn name_tokens(&mut self, tokens: TokenStream) {
        let (mut paths, mut colons) = (vec![Vec::new()], 0);
        for token in tokens {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    colons += 1;
                    continue;
                }
                TokenTree::Ident(ident) if colons == 2 => paths.last_mut().unwrap().push(ident.to_string()),
                TokenTree::Ident(ident) => paths.push(vec![ident.to_string()]),
                TokenTree::Group(group) => {
                    self.name_tokens(group.stream());
                    paths.push(Vec::new());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => paths.push(Vec::new()),
            }
            colons = 0;
        }
        paths.iter().filter(|path| path.len() > 1).for_each(|path| self.name(path));
    }
}

impl<'ast> Visit<'ast> for Names<'_> {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if item.leading_colon.is_none() && !is_for_tests(&item.attrs) {
            self.name_tree(&[], &item.tree);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if is_for_tests(&item.attrs) {
            return;
        }
        self.here.push(item.ident.to_string());
        match self.modules.get(&self.here) {
            Some(file) if item.content.is_none() => drop(self.known.insert(file.clone())),
            _ => visit::visit_item_mod(self, item),
        }
        self.here.pop();
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.name(&segments);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        self.name_tokens(called.tokens.clone());
        visit::visit_macro(self, called);
    }

    fn visit_meta_list(&mut self, list: &'ast MetaList) {
        self.name_tokens(list.tokens.clone());
    }

    /// Who may see something is not something that it knows.
    fn visit_vis_restricted(&mut self, _: &'ast VisRestricted) {}
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    let is_test = |list: &MetaList| list.path.is_ident("cfg") && list.tokens.to_string() == "test";
    attributes.iter().any(|attribute| attribute.meta.require_list().is_ok_and(is_test))
}
