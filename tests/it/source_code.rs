//! The crate's own source, read by the compiler's grammar: tests are left out item by item, wherever
//! they stand, and every path counts, inside macros as well.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{Attribute, Item, Lit};

/// One file without its tests.
pub(crate) struct SourceFile {
    /// Below `src`.
    pub(crate) path: PathBuf,
    /// Its code, without the tree of it.
    words: Vec<String>,
    /// The names of its types and traits.
    pub(crate) types: Vec<String>,
    /// Tests not counted.
    pub(crate) lines: usize,
    /// What people read of it: its comments and its texts.
    pub(crate) texts: Vec<String>,
    /// The rooms that it names, by `crate::`, `appcred::` or `super::` as often as needed.
    pub(crate) rooms_named: BTreeSet<String>,
}

/// All files of `src` that are part of the product.
pub(crate) fn sources() -> &'static [SourceFile] {
    static SOURCES: LazyLock<Vec<SourceFile>> = LazyLock::new(read_all);
    &SOURCES
}

fn read_all() -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                files.push((path.strip_prefix(&root).unwrap().to_owned(), text));
            }
        }
    }
    files.sort();
    read(files)
}

/// Reads files, and leaves out those that only tests include.
pub(crate) fn read(
    files: impl IntoIterator<Item = (impl Into<PathBuf>, impl AsRef<str>)>,
) -> Vec<SourceFile> {
    let mut sources = Vec::new();
    let mut only_tests = BTreeSet::new();
    for (path, text) in files {
        let path = path.into();
        let mut code = syn::parse_file(text.as_ref())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut test_lines = 0;
        let folder = path.with_file_name("");
        code.items.retain(|item| {
            if !is_test(attributes(item)) {
                return true;
            }
            if let Item::Mod(module) = item
                && module.content.is_none()
            {
                only_tests.insert(folder.join(format!("{}.rs", module.ident)));
            }
            let span = item.span();
            test_lines += span.end().line + 1 - span.start().line;
            false
        });
        let lines = text.as_ref().lines().count() - test_lines;
        let comments = text.as_ref().lines().filter_map(|line| line.trim().strip_prefix("// "));
        let mut texts = comments.map(str::to_owned).collect();
        let types = code.items.iter().filter_map(type_name).collect();
        let code = code.to_token_stream();
        collect_texts(code.clone(), &mut texts);
        let mut rooms_named = BTreeSet::new();
        collect_rooms(code.clone(), &module(&path), &mut rooms_named);
        let mut words = Vec::new();
        flatten(code, &mut words);
        sources.push(SourceFile { path, words, types, lines, texts, rooms_named });
    }
    sources.retain(|source| !only_tests.contains(&source.path));
    sources
}

impl SourceFile {
    /// The first folder or file below `src`. `lib.rs` belongs to no room: it only lists them.
    pub(crate) fn room(&self) -> Option<String> {
        let first = self.path.components().next().unwrap().as_os_str().to_string_lossy();
        let room = first.trim_end_matches(".rs").to_owned();
        (room != "lib").then_some(room)
    }

    /// Whether it has these tokens one after another: `std :: time`, `async`.
    pub(crate) fn has(&self, tokens: &str) -> bool {
        let mut wanted = Vec::new();
        flatten(tokens.parse().unwrap(), &mut wanted);
        self.words.windows(wanted.len()).any(|window| window == wanted)
    }
}

fn module(path: &Path) -> Vec<String> {
    let path = path.with_extension("");
    let mut module: Vec<String> =
        path.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|last| last == "mod" || last == "lib" || last == "main") {
        module.pop();
    }
    module
}

fn type_name(item: &Item) -> Option<String> {
    let name = match item {
        Item::Enum(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.meta.to_token_stream().to_string().replace(' ', "") == "cfg(test)"
    })
}

fn collect_rooms(code: TokenStream, module: &[String], found: &mut BTreeSet<String>) {
    let tokens: Vec<TokenTree> = code.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Ident(word) if *word == "mod" => {
                if let (Some(TokenTree::Ident(name)), Some(TokenTree::Group(body))) =
                    (tokens.get(at + 1), tokens.get(at + 2))
                {
                    let inner = [module, &[name.to_string()]].concat();
                    collect_rooms(body.stream(), &inner, found);
                    at += 3;
                    continue;
                }
            }
            TokenTree::Ident(word) if *word == "crate" || *word == "appcred" => {
                names_at(&tokens[at + 1..], &[], found);
            }
            // `super::super::x`: the first `super` resolves those behind it.
            TokenTree::Ident(word) if *word == "super" && !follows_path(&tokens[..at]) => {
                names_at(&tokens[at + 1..], above(module), found);
            }
            TokenTree::Group(group) => collect_rooms(group.stream(), module, found),
            _ => {}
        }
        at += 1;
    }
}

/// What a path names that goes on with these tokens from a module.
fn names_at(tokens: &[TokenTree], from: &[String], found: &mut BTreeSet<String>) {
    let [TokenTree::Punct(one), TokenTree::Punct(two), rest @ ..] = tokens else { return };
    if one.as_char() != ':' || two.as_char() != ':' {
        return;
    }
    match rest.first() {
        Some(TokenTree::Ident(word)) if *word == "super" => {
            names_at(&rest[1..], above(from), found);
        }
        Some(TokenTree::Ident(word)) if from.is_empty() => {
            found.insert(word.to_string());
        }
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
            let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
            let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
            for part in tokens.split(is_comma) {
                match part.first() {
                    Some(TokenTree::Ident(word)) if *word == "super" => {
                        names_at(&part[1..], above(from), found);
                    }
                    Some(TokenTree::Ident(word)) if from.is_empty() => {
                        found.insert(word.to_string());
                    }
                    _ => {}
                }
            }
        }
        _ => {}
    }
    // Inside a room, the path names that room itself.
    if let Some(room) = from.first() {
        found.insert(room.clone());
    }
}

fn collect_texts(code: TokenStream, found: &mut Vec<String>) {
    for token in code {
        match token {
            TokenTree::Group(group) => collect_texts(group.stream(), found),
            TokenTree::Literal(literal) => {
                if let Lit::Str(text) = Lit::new(literal) {
                    found.push(text.value());
                }
            }
            _ => {}
        }
    }
}

fn above(module: &[String]) -> &[String] {
    module.split_last().map_or(&[], |(_, above)| above)
}

fn follows_path(before: &[TokenTree]) -> bool {
    matches!(before.last(), Some(TokenTree::Punct(punct)) if punct.as_char() == ':')
}

fn flatten(code: TokenStream, found: &mut Vec<String>) {
    for token in code {
        match token {
            TokenTree::Group(group) => {
                found.push(format!("{:?}", group.delimiter()));
                flatten(group.stream(), found);
            }
            TokenTree::Ident(word) => found.push(word.to_string()),
            TokenTree::Punct(punct) => found.push(punct.as_char().to_string()),
            // What a text says is no code.
            TokenTree::Literal(_) => {}
        }
    }
}
