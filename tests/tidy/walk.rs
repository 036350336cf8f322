//! One pass over the tokens of a source file: what it imports, names, cuts short, and how long its functions are.
//!
//! It knows the rules' texts but decides nothing about sizes, and never reads the disk.

use crate::{MODULES_BANNED, SERVE_THEIR_RANK, STATUS_FILE, TYPE_SUFFIXES_BANNED, rank};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// What is known of the place being read.
#[derive(Clone, Copy)]
struct Place {
    /// How many modules deep: 0 in lib.rs, 2 in src/wire/form.rs.
    depth: usize,
    in_test: bool,
    in_const: bool,
}

/// One pass over the tokens of one file.
pub struct Walk {
    pub path: String,
    /// The top-level module the file belongs to; none outside src/.
    module: Option<String>,
    pub faults: Vec<String>,
    pub faults_unless_test: Vec<String>,
    /// Modules that exist under `cfg(test)` only, as paths without `.rs`.
    pub test_modules: Vec<String>,
    pub fn_lines: Vec<(String, usize)>,
}

impl Walk {
    pub fn over(path: &str, tokens: TokenStream) -> Walk {
        let inside = path.strip_prefix("src/").map(|rest| rest.trim_end_matches(".rs"));
        let steps: Vec<&str> = inside.map(|rest| rest.split('/').filter(|s| *s != "mod").collect()).unwrap_or_default();
        let depth = if ["lib", "main"].contains(&steps.first().copied().unwrap_or("lib")) { 0 } else { steps.len() };
        let module = steps.first().map(|first| (*first).to_owned());
        let (faults, faults_unless_test, test_modules, fn_lines) = Default::default();
        let mut walk = Walk { path: path.to_owned(), module, faults, faults_unless_test, test_modules, fn_lines };
        if let Some(module) = walk.module.clone().filter(|module| rank(module).is_none()) {
            walk.faults.push(format!("{path}: `{module}` has no rank: place it in RANKS of tests/tidy.rs, or move the file"));
        }
        for step in steps.iter().filter(|step| MODULES_BANNED.contains(step)) {
            walk.faults.push(format!("{path}: `{step}` says nothing as a module name: name what it holds"));
        }
        walk.read(tokens, Place { depth, in_test: inside.is_none(), in_const: false });
        walk
    }

    fn read(&mut self, tokens: TokenStream, place: Place) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let (mut here, mut inline_module) = (place, false);
        for at in 0..tokens.len() {
            let rest = &tokens[at..];
            match &rest[0] {
                TokenTree::Group(group) => {
                    let braces = group.delimiter() == Delimiter::Brace;
                    let depth = place.depth + usize::from(inline_module && braces);
                    self.read(group.stream(), Place { depth, ..here });
                    if braces {
                        (here, inline_module) = (Place { in_const: here.in_const, ..place }, false);
                    }
                }
                TokenTree::Punct(mark) if mark.as_char() == ';' => here = place,
                TokenTree::Punct(mark) if mark.as_char() == '#' => here.in_test |= self.read_attribute(rest),
                TokenTree::Ident(word) => {
                    let word = word.to_string();
                    here.in_const |= word == "const" && !is_ident(rest.get(1), &["fn"]);
                    if word == "mod" {
                        inline_module = is_brace(rest.get(2));
                        if here.in_test {
                            self.note_module(&tokens[..at], rest);
                        }
                    }
                    self.check_word(&word, rest, here);
                    let before = at.checked_sub(1).map(|before| &tokens[before]);
                    self.check_path(&word, before, rest, place.depth);
                }
                TokenTree::Literal(literal) => self.check_number(&literal.to_string(), line(&rest[0]), here),
                TokenTree::Punct(_) => {}
            }
        }
    }

    /// Whether the attribute at `rest` makes what follows a test; complains about `#[ignore]`.
    fn read_attribute(&mut self, rest: &[TokenTree]) -> bool {
        let Some(TokenTree::Group(group)) = rest.get(1) else { return false };
        let text = group.stream().to_string();
        if group.delimiter() == Delimiter::Bracket && text.starts_with("ignore") {
            self.faults.push(format!("{}:{}: #[ignore]: make the test pass, or delete it", self.path, line(&rest[0])));
        }
        let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        let path = text.split(['(', '=']).next().unwrap_or("").trim_end();
        path.split([':', ' ']).next_back() == Some("test") || (words[0] == "cfg" && words.contains(&"test") && !words.contains(&"not"))
    }

    /// Remembers a module in a file of its own that is for tests only; `before` may say which file with `#[path]`.
    fn note_module(&mut self, before: &[TokenTree], rest: &[TokenTree]) {
        if is_brace(rest.get(2)) {
            return;
        }
        let (folder, file) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        let of_this_item = before.iter().rev().take_while(|token| !is_punct(Some(token), ';') && !is_brace(Some(token)));
        let attributes: Vec<String> = of_this_item.map(ToString::to_string).collect();
        let elsewhere = attributes.iter().find_map(|text| text.strip_prefix("[path = \"")?.strip_suffix("\"]"));
        self.test_modules.push(match (elsewhere, rest.get(1)) {
            (Some(file), _) => format!("{folder}/{}", file.trim_end_matches(".rs")),
            (None, Some(name)) if ["mod.rs", "lib.rs", "main.rs"].contains(&file) => format!("{folder}/{name}"),
            (None, Some(name)) => format!("{}/{name}", self.path.trim_end_matches(".rs")),
            (None, None) => return,
        });
    }

    fn check_word(&mut self, word: &str, rest: &[TokenTree], here: Place) {
        let (path, line) = (&self.path, line(&rest[0]));
        let name = if let Some(TokenTree::Ident(name)) = rest.get(1) { name.to_string() } else { String::new() };
        let banned = TYPE_SUFFIXES_BANNED.iter().find(|suffix| name.ends_with(**suffix));
        match word {
            "struct" | "enum" | "trait" | "type" | "union" if banned.is_some() => {
                self.faults.push(format!("{path}:{line}: `{name}`: names in {} hide what a thing is: say it", banned.unwrap_or(&"")));
            }
            "fn" if !name.is_empty() => {
                let ends = rest.iter().find(|token| is_brace(Some(token)) || matches!(token, TokenTree::Punct(p) if p.as_char() == ';'));
                if let Some(TokenTree::Group(body)) = ends {
                    self.fn_lines.push((format!("{path}::{name}"), body.span_close().end().line - line + 1));
                }
            }
            "todo" | "unimplemented" if is_punct(rest.get(1), '!') => {
                self.faults.push(format!("{path}:{line}: {word}!: finish it, or leave the feature out"));
            }
            "unwrap" if is_empty_call(rest.get(1)) && !here.in_test => self
                .faults_unless_test
                .push(format!("{path}:{line}: .unwrap(): return the error, or expect(\"why it cannot be\") for a true invariant")),
            "StatusCode" if self.is_guarded_http() && !here.in_test => self
                .faults_unless_test
                .push(format!("{path}:{line}: StatusCode: only {STATUS_FILE} knows statuses: return a NamingError or one of its replies")),
            "HttpResponse" if self.is_guarded_http() && !here.in_test && makes_response(rest) => self
                .faults_unless_test
                .push(format!("{path}:{line}: HttpResponse::…: only {STATUS_FILE} makes responses: use one of its replies")),
            _ => {}
        }
    }

    fn check_number(&mut self, literal: &str, line: usize, here: Place) {
        const STATUSES: &[&str] = &[
            "200", "201", "202", "204", "301", "302", "304", "307", "400", "401", "403", "404", "405", "409", "410", "413", "414", "415",
            "429", "431", "500", "501", "502", "503", "504",
        ];
        if STATUSES.contains(&literal) && self.is_guarded_http() && !here.in_test && !here.in_const {
            let path = &self.path;
            self.faults_unless_test
                .push(format!("{path}:{line}: {literal}: only {STATUS_FILE} knows statuses; another number wants a named const"));
        }
    }

    fn is_guarded_http(&self) -> bool {
        self.path.starts_with("src/http/") && self.path != STATUS_FILE
    }

    /// Paths that begin at the crate's root: `crate::x`, `crate::{x, y}`, and `super::…` that climbs so far.
    fn check_path(&mut self, word: &str, before: Option<&TokenTree>, rest: &[TokenTree], depth: usize) {
        let mut after = match word {
            "crate" => &rest[1..],
            "super" if !is_punct(before, ':') => {
                let climbs = 1 + rest[1..].chunks(3).take_while(|next| next.len() == 3 && is_ident(next.get(2), &["super"])).count();
                if climbs < depth || depth == 0 {
                    return;
                }
                &rest[1 + 3 * (climbs - 1)..]
            }
            _ => return,
        };
        if !(is_punct(after.first(), ':') && is_punct(after.get(1), ':')) {
            return; // pub(crate), pub(super)
        }
        after = &after[2..];
        match after.first() {
            Some(TokenTree::Group(group)) => {
                let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
                for item in tokens.split(|token| is_punct(Some(token), ',')).filter(|item| !item.is_empty()) {
                    self.check_import(&item[0]);
                }
            }
            Some(target) => self.check_import(target),
            None => {}
        }
    }

    fn check_import(&mut self, target: &TokenTree) {
        let Some(from) = self.module.as_deref() else { return };
        let (name, line) = (target.to_string(), line(target));
        let Some(mine) = rank(from) else { return };
        let fault = match rank(&name) {
            None => format!("`{name}` is no module with a rank: import it from the module that owns it"),
            Some(theirs) if name == from || theirs < mine || (theirs == mine && mine == 7) => return,
            Some(theirs) if theirs == mine && SERVE_THEIR_RANK.contains(&name.as_str()) && !SERVE_THEIR_RANK.contains(&from) => return,
            Some(theirs) if theirs == mine => format!("`{from}` and `{name}` are both of rank {mine} and must not know each other"),
            Some(theirs) => format!("`{from}` (rank {mine}) must not use `{name}` (rank {theirs}): imports go down"),
        };
        self.faults.push(format!("{}:{line}: {fault}", self.path));
    }
}

fn line(token: &TokenTree) -> usize {
    token.span().start().line
}

fn is_punct(token: Option<&TokenTree>, mark: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == mark)
}

fn is_ident(token: Option<&TokenTree>, words: &[&str]) -> bool {
    matches!(token, Some(TokenTree::Ident(word)) if words.contains(&word.to_string().as_str()))
}

fn is_brace(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace)
}

fn is_empty_call(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis && group.stream().is_empty())
}

/// `HttpResponse::Ok`, `::build`, `::new` name a status; `HttpResponse` as a type does not.
fn makes_response(rest: &[TokenTree]) -> bool {
    is_punct(rest.get(1), ':')
        && rest.get(3).is_some_and(|next| {
            let next = next.to_string();
            ["build", "new", "with_body"].contains(&next.as_str()) || next.starts_with(char::is_uppercase)
        })
}
