//! What the table of settings looks like to people: the part of `--help` below the flags, the reference in the docs, and
//! the sample `application.properties`. Nothing here is written twice: `config/application.properties` is this module's output.

use super::setting::{Group, Setting};
use super::settings::SETTINGS;
use std::fmt::Write;

/// Columns of the comments in the sample.
const COMMENT_COLUMNS: usize = 110;

/// Every setting with its key, variables and default, for `headcount serve --help`.
pub fn help_of_settings() -> String {
    let mut out = String::from("Settings (flags win over the environment, the environment over application.properties):\n");
    for group in Group::ALL {
        let _ = write!(out, "\n{}:\n", group.title());
        for setting in rows(*group) {
            let _ = writeln!(out, "  {}\n      {}", setting.key, setting.help);
            let _ = writeln!(out, "      [default: {}]{}", or_none(setting.default_text()), elsewhere(setting));
        }
    }
    out
}

/// The same as Markdown tables, one a group.
pub fn markdown() -> String {
    let mut out = String::new();
    for group in Group::ALL {
        let _ = write!(out, "### {}\n\n| setting | environment, flag | default | |\n|---|---|---|---|\n", group.title());
        for setting in rows(*group) {
            let key = if setting.in_file { format!("`{}`", setting.key) } else { String::new() };
            let default = match setting.default_text() {
                text if text.is_empty() => "none".to_string(),
                text if setting.default_varies() => text,
                text => format!("`{text}`"),
            };
            let names = names(setting).iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let moot = setting.moot.map(|why| format!(" *It {why}.*")).unwrap_or_default();
            let _ = writeln!(out, "| {key} | {names} | {default} | {}{moot} |", setting.help.replace('|', "\\|"));
        }
        out.push('\n');
    }
    out
}

/// A file with every setting at its default, commented out and explained.
pub fn sample() -> String {
    let mut out = String::from(
        "# Settings of a headcount node. Every line is a comment that shows a default: a node starts without this file.\n\
         # Flags win over environment variables, environment variables over this file. A value may be ${VARIABLE:default}.\n\
         # Keys of Nacos that mean nothing here are named once in the log and left alone; a misspelt headcount.* key is an error.\n\
         # 'headcount config check' shows what is in force and where it comes from.\n",
    );
    for group in Group::ALL {
        let _ = write!(out, "\n# --- {} ---\n", group.title());
        for setting in rows(*group).filter(|setting| setting.in_file) {
            out.push('\n');
            comment(&mut out, setting.help);
            if let Some(why) = setting.moot {
                comment(&mut out, &format!("It {why}."));
            }
            if setting.default_varies() {
                comment(&mut out, &format!("Default: {}.", setting.default_text()));
            }
            if !names(setting).is_empty() {
                comment(&mut out, &format!("Also: {}", names(setting).join(", ")));
            }
            let value = if setting.default_varies() { String::new() } else { setting.default_value() };
            let _ = writeln!(out, "#{}={value}", setting.key);
        }
    }
    out
}

fn rows(group: Group) -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(move |setting| setting.group == group)
}

fn names(setting: &Setting) -> Vec<String> {
    let flag = setting.flag.map(|(name, value)| if value.is_empty() { format!("--{name}") } else { format!("--{name} {value}") });
    setting.environment_names().into_iter().chain(flag).collect()
}

fn elsewhere(setting: &Setting) -> String {
    let names = names(setting);
    if names.is_empty() { String::new() } else { format!(" [also: {}]", names.join(", ")) }
}

fn or_none(text: String) -> String {
    if text.is_empty() { "none".to_string() } else { text }
}

/// Words, wrapped, each line after `# `.
fn comment(out: &mut String, text: &str) {
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > COMMENT_COLUMNS {
            let _ = writeln!(out, "{line}");
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(out, "{line}");
}
