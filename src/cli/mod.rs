//! The command line: what was asked for, done, or made ready for `main` to start a node with.
//!
//! ```text
//! arguments, environment ─▶ run ─┬▶ Serve(Config): `main` starts the node
//!                                └▶ Done(exit code): printed and over (0 done, 1 failed, 2 asked wrongly)
//! ```
//!
//! One verb a file. Verbs that talk to a node run inside an actix system of their own. Never: reads the process's environment.

mod check;
mod client;
mod cluster;
mod diff;
mod flags;
mod health;
mod instances;
mod local_cluster;
mod secret;
#[cfg(test)]
mod stub;
mod table;
mod watch;

use crate::config::{Config, Environment, Fault, Raw, help_of_settings};
use clap::{CommandFactory, Parser, Subcommand};
use flags::SettingFlags;
use std::ffi::OsString;
use std::fmt::Display;
use std::future::Future;
use std::io::Write;
use std::process::ExitCode;

/// What is left to do.
pub enum Command {
    /// Start a node with this.
    Serve(Box<Config>),
    /// Nothing: exit with this.
    Done(ExitCode),
}

const EXAMPLES: &str = "\
Examples:
  headcount                                        a node on port 8848, with ./config if it exists
  headcount serve --port 8850 --data-dir /var/lib/headcount
  headcount config check                           what is in force and where it comes from
  headcount register cart 10.0.0.7:8080 --keep     an instance that beats until Ctrl-C
  headcount watch cart                             who is listed, as it changes
  headcount local-cluster                          three nodes on this machine, to kill and restart by a key

'headcount serve --help' tells of every setting, 'headcount VERB --help' of one verb.";

/// A service registry node for clients of Nacos 1.x, and a client for it. Without a verb: serve.
#[derive(Parser)]
#[command(name = "headcount", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    settings: SettingFlags,
}

#[derive(Subcommand)]
enum Verb {
    /// Run a node
    #[command(after_long_help = help_of_settings())]
    Serve(SettingFlags),
    /// Look at the configuration without starting a node
    #[command(subcommand)]
    Config(ConfigVerb),
    /// Ask a node whether it is ready: exit 0 if it is, 1 if not
    Health(health::Health),
    /// Make the secret that the nodes of a cluster share
    Secret(secret::SecretVerb),
    /// Register an instance
    Register(instances::Register),
    /// Take an instance out
    Deregister(instances::Deregister),
    /// List the instances of a service, as its consumers see them
    Instances(instances::Instances),
    /// List the services of a namespace
    Services(instances::Services),
    /// Subscribe to a service and show who is listed, as it changes
    Watch(watch::Watch),
    /// Run a cluster on this machine, and kill, pause and restart its nodes by a key
    LocalCluster(local_cluster::LocalCluster),
    /// List the nodes of a cluster as one of them sees them
    Members(cluster::Members),
    /// Say which node judges the instances of a service first
    Owner(cluster::Owner),
    /// Compare what the nodes of a cluster hold: exit 0 if it is the same, 1 if not, 2 if they cannot be compared
    Diff(diff::Diff),
    /// Run a node that ends with the process that started it
    #[command(hide = true)]
    LocalNode(SettingFlags),
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  headcount completions bash > /etc/bash_completion.d/headcount")]
    Completions {
        #[arg(value_name = "SHELL")]
        shell: clap_complete::Shell,
    },
}

#[derive(Subcommand)]
enum ConfigVerb {
    /// Print every setting's value and origin; exit 1 and print every fault if there are any
    Check(SettingFlags),
    /// Print an application.properties with every setting at its default, commented out
    Sample,
    /// Print the reference of all settings as Markdown
    Reference,
}

/// Does what the arguments (the program's name first) ask for.
pub fn run(args: impl IntoIterator<Item = OsString>, env: &Environment) -> Command {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(told) => {
            let _ = told.print(); // help goes to standard output, errors to standard error; a closed pipe is nobody's fault
            return Command::Done(ExitCode::from(u8::try_from(told.exit_code()).unwrap_or(2)));
        }
    };
    let done = match cli.verb {
        None => return serve(&cli.settings, env),
        Some(Verb::Serve(settings)) => return serve(&settings, env),
        Some(Verb::Config(ConfigVerb::Check(settings))) => check::check(&Raw::load(&settings.given, env)),
        Some(Verb::Config(ConfigVerb::Sample)) => Ok(crate::config::sample()),
        Some(Verb::Config(ConfigVerb::Reference)) => Ok(crate::config::markdown()),
        Some(Verb::Health(verb)) => in_system(verb.run(env)),
        Some(Verb::Secret(verb)) => verb.run(),
        Some(Verb::Register(verb)) => in_system(verb.run()),
        Some(Verb::Deregister(verb)) => in_system(verb.run()),
        Some(Verb::Instances(verb)) => in_system(verb.run()),
        Some(Verb::Services(verb)) => in_system(verb.run()),
        Some(Verb::Watch(verb)) => in_system(verb.run()),
        Some(Verb::LocalCluster(verb)) => in_system(verb.run(env)),
        Some(Verb::LocalNode(settings)) => {
            local_cluster::end_with_parent();
            return serve(&settings, env);
        }
        Some(Verb::Members(verb)) => in_system(verb.run()),
        Some(Verb::Owner(verb)) => in_system(verb.run()),
        Some(Verb::Diff(verb)) => return Command::Done(diff::ended(in_system(verb.run(env)))),
        Some(Verb::Completions { shell }) => Ok(completions(shell)),
    };
    match done {
        Ok(text) => {
            say(&text);
            Command::Done(ExitCode::SUCCESS)
        }
        Err(text) => {
            complain(&text);
            Command::Done(ExitCode::FAILURE)
        }
    }
}

fn serve(settings: &SettingFlags, env: &Environment) -> Command {
    match Config::load(&settings.given, env) {
        Ok(config) => Command::Serve(Box::new(config)),
        Err(faults) => {
            complain(&told(&faults));
            Command::Done(ExitCode::FAILURE)
        }
    }
}

/// All faults, one a line, under a line that counts them.
fn told(faults: &[Fault]) -> String {
    let count = if faults.len() == 1 { "a fault".to_string() } else { format!("{} faults", faults.len()) };
    let lines: String = faults.iter().map(|fault| format!("\n  {fault}")).collect();
    format!("{count} in the configuration:{lines}")
}

fn completions(shell: clap_complete::Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "headcount", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// What a verb answers: a text for standard output, or one for standard error and exit code 1.
type Outcome = Result<String, String>;

fn in_system<T, E: Display>(verb: impl Future<Output = Result<T, E>>) -> Result<T, String> {
    actix_rt::System::new().block_on(verb).map_err(|error| error.to_string())
}

/// To standard output. A reader that has gone away (`| head`) is no error.
fn say(text: &str) {
    print_to(&mut std::io::stdout().lock(), text);
}

fn complain(text: &str) {
    print_to(&mut std::io::stderr().lock(), &format!("headcount: {text}"));
}

fn print_to(out: &mut dyn Write, text: &str) {
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let _ = write!(out, "{text}{end}").and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_with(line: &str, env: &[(&str, &str)]) -> Command {
        let env = env.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        run(line.split_whitespace().map(OsString::from), &env)
    }

    fn parsed(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_a_verb_it_serves_and_flags_may_stand_alone() {
        for line in ["headcount --port 8850 --mode standalone", "headcount serve --mode standalone --port 8850"] {
            match run_with(line, &[("NACOS_APPLICATION_PORT", "1")]) {
                Command::Serve(config) => assert_eq!(config.port, 8850),
                Command::Done(code) => panic!("{line}: {code:?}"),
            }
        }
    }

    #[test]
    fn faults_end_it_with_1_and_misuse_with_2() {
        let code = |line, env| match run_with(line, env) {
            Command::Done(code) => format!("{code:?}"),
            Command::Serve(_) => "serves".to_string(),
        };
        assert_eq!(code("headcount --port 0", &[]), format!("{:?}", ExitCode::FAILURE));
        assert_eq!(code("headcount config check", &[("MODE", "x")]), format!("{:?}", ExitCode::FAILURE));
        assert_eq!(code("headcount --prot 1", &[]), format!("{:?}", ExitCode::from(2)));
        assert_eq!(code("headcount --version", &[]), format!("{:?}", ExitCode::SUCCESS));
    }

    #[test]
    fn flags_of_a_node_do_not_mix_with_other_verbs() {
        assert!(parsed("headcount --port 1 services").is_err());
        assert!(parsed("headcount services --server http://a,http://b").is_ok());
    }

    #[test]
    fn the_help_of_serve_tells_of_every_setting() {
        let help = parsed("headcount serve --help").err().map(|help| help.to_string()).unwrap_or_default();
        let squeezed = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for setting in crate::config::SETTINGS {
            assert!(squeezed.contains(setting.key), "{} is not in {help}", setting.key);
        }
    }

    #[test]
    fn every_shell_gets_its_completions() {
        use clap::ValueEnum;
        for shell in clap_complete::Shell::value_variants() {
            assert!(completions(*shell).contains("config-dir"), "{shell}");
        }
    }
}
