//! `headcount secret --create FILE`: 32 bytes of the system's randomness in hexadecimal, in a file only its owner may read.

use super::Outcome;
use crate::config::Secret;
use clap::Args;
use rand::TryRngCore;
use rand::rngs::OsRng;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const SECRET_BYTES: usize = 32;
const OWNER_ONLY: u32 = 0o600;

#[derive(Args)]
#[command(after_help = "Example:\n  headcount secret --create /etc/headcount/secret\n  \
                  (copy it to every node, set HEADCOUNT_CLUSTER_SECRET_FILE=/etc/headcount/secret there)")]
pub struct SecretVerb {
    /// The file to make, readable by its owner alone; one that exists is never written over
    #[arg(long, value_name = "FILE", required = true)]
    create: PathBuf,
    /// Where the file exists and holds a secret that can be used, all is well: for what runs at every start
    #[arg(long)]
    keep: bool,
}

impl SecretVerb {
    pub fn run(&self) -> Outcome {
        let path = self.create.display();
        match create(&self.create) {
            Ok(()) => {
                Ok(format!("made {path}, readable by its owner alone. Copy it to every node and set HEADCOUNT_CLUSTER_SECRET_FILE={path}"))
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && self.keep => self.kept(),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(format!(
                "{path} exists already and is left as it is. Use it, or name another file; the nodes of a cluster must all have the same one"
            )),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(format!("{path}: its directory does not exist")),
            Err(error) => Err(format!("{path} cannot be made: {error}")),
        }
    }

    fn kept(&self) -> Outcome {
        let path = self.create.display();
        let unusable = |why: String| format!("{path} exists already, is left as it is, and cannot be used: {why}");
        let text = std::fs::read_to_string(&self.create).map_err(|error| unusable(error.to_string()))?;
        Secret::new(&text).map_err(unusable)?;
        Ok(format!("{path} exists already and is kept"))
    }
}

/// Makes a secret; fails where the file exists.
pub fn create(path: &Path) -> io::Result<()> {
    let mut bytes = [0u8; SECRET_BYTES];
    OsRng.try_fill_bytes(&mut bytes).map_err(io::Error::other)?;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut file = OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(path)?;
    file.write_all(format!("{hex}\n").as_bytes()).and_then(|()| file.sync_all()).inspect_err(|_| {
        let _ = std::fs::remove_file(path); // half a secret is worse than none; the first error is the one to tell
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_is_made_once_for_its_owner_and_can_be_used() {
        let dir = tempfile::tempdir().unwrap();
        let verb = |name: &str| SecretVerb { create: dir.path().join(name), keep: false };
        let told = verb("secret").run().unwrap();
        let text = std::fs::read_to_string(dir.path().join("secret")).unwrap();
        assert_eq!(Secret::new(&text).unwrap().expose().len(), 2 * SECRET_BYTES);
        assert!(!told.contains(text.trim()), "{told}");
        let mode = std::fs::metadata(dir.path().join("secret")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, OWNER_ONLY);

        assert!(verb("secret").run().unwrap_err().contains("exists already"));
        assert_eq!(std::fs::read_to_string(dir.path().join("secret")).unwrap(), text);
        assert!(verb("no/secret").run().unwrap_err().contains("its directory does not exist"));
        verb("other").run().unwrap();
        assert_ne!(std::fs::read_to_string(dir.path().join("other")).unwrap(), text);
    }
    #[test]
    fn a_secret_that_can_be_used_is_kept_where_that_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let verb = SecretVerb { create: path.clone(), keep: true };
        verb.run().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(verb.run().unwrap().contains("is kept"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        std::fs::write(&path, "").unwrap();
        assert!(verb.run().unwrap_err().contains("cannot be used"));
    }
}
