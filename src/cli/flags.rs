//! The flags of a node, made from the table of settings: clap checks their names, the configuration their values.

use crate::config::{SETTINGS, Setting};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

/// The flags that were given: name without dashes, and value as written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SettingFlags {
    pub given: Vec<(String, String)>,
}

impl Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        SETTINGS.iter().filter_map(argument).fold(command, Command::arg)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<SettingFlags, Error> {
        let given = SETTINGS.iter().filter_map(|setting| setting.flag).filter_map(|(name, value)| {
            let text = if value.is_empty() { matches.get_flag(name).then(|| "true".to_string()) } else { matches.get_one(name).cloned() };
            text.map(|text| (name.to_string(), text))
        });
        Ok(SettingFlags { given: given.collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn argument(setting: &'static Setting) -> Option<Arg> {
    let (name, value) = setting.flag?;
    let default = setting.default_text();
    let default = if default.is_empty() || value.is_empty() { String::new() } else { format!(" [default: {default}]") };
    let variables = setting.environment_names().join(", ");
    let arg = Arg::new(name).long(name).help(format!("{}{default} [environment: {variables}]", setting.help));
    Some(if value.is_empty() { arg.action(ArgAction::SetTrue) } else { arg.value_name(value).action(ArgAction::Set) })
}
