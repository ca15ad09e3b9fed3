//! Which cluster to talk to, and as whom.
//!
//! Flags and environment come first, then the configuration file, then a cluster that `mdfs dev`
//! runs in this folder. A token goes only to the address it was found with, unless it was given by
//! hand.

use crate::args::Global;
use crate::error::CliError;
use mdfs_client::{Client, ClientConfig};
use serde::Deserialize;
use std::io;
use std::path::{Path, PathBuf};

/// Where `mdfs dev` says how to reach the cluster it runs, unless it was given another folder.
pub(crate) const DEV_FILE: &str = "mdfs-data/dev.json";

/// An address and the token for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Target {
    urls: Vec<String>,
    token_file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    url: Option<String>,
    token_file: Option<PathBuf>,
}

#[derive(Deserialize)]
struct DevFile {
    url: String,
    token_file: PathBuf,
}

/// A client for the cluster that the options, the configuration, or this folder name.
///
/// # Errors
/// If there is none, or a file that should say how cannot be read.
pub(crate) fn connect(global: &Global) -> Result<Client, CliError> {
    let target = find(global, std::env::home_dir().as_deref(), Path::new("."))?;
    let token = target.token_file.as_deref().map(read_token).transpose()?;
    let mut config = ClientConfig::new("");
    config.urls = target.urls;
    config.token = token;
    Ok(Client::new(config)?)
}

fn find(global: &Global, home: Option<&Path>, here: &Path) -> Result<Target, CliError> {
    let known = match from_config(global.config.as_deref(), home)? {
        Some(target) => Some(target),
        None => from_dev(here)?,
    };
    let mut target = match known {
        Some(known) if global.url.is_empty() || global.url == known.urls => known,
        _ if global.url.is_empty() => return Err(CliError::NoCluster),
        _ => Target {
            urls: global.url.clone(),
            token_file: None,
        },
    };
    if let Some(token_file) = &global.token_file {
        target.token_file = Some(token_file.clone());
    }
    Ok(target)
}

fn from_config(given: Option<&Path>, home: Option<&Path>) -> Result<Option<Target>, CliError> {
    let usual = home.map(|home| home.join(".config/mdfs/config.yaml"));
    let Some(path) = given.map(Path::to_owned).or(usual) else {
        return Ok(None);
    };
    let Some(text) = read(&path, given.is_some())? else {
        return Ok(None);
    };
    let ConfigFile { url, token_file } =
        serde_yaml::from_str(&text).map_err(|error| CliError::ConfigFile {
            path: path.clone(),
            what: error.to_string(),
        })?;
    let token_file = token_file.map(|file| near(&path, file));
    Ok(url.map(|url| Target {
        urls: vec![url],
        token_file,
    }))
}

fn from_dev(here: &Path) -> Result<Option<Target>, CliError> {
    let path = here.join(DEV_FILE);
    let Some(text) = read(&path, false)? else {
        return Ok(None);
    };
    let DevFile { url, token_file } =
        serde_json::from_str(&text).map_err(|error| CliError::ConfigFile {
            path: path.clone(),
            what: error.to_string(),
        })?;
    let token_file = if here.join(&token_file).exists() {
        here.join(token_file)
    } else {
        near(&path, token_file)
    };
    Ok(Some(Target {
        urls: vec![url],
        token_file: Some(token_file),
    }))
}

/// A path in a configuration file counts from that file's folder.
fn near(config: &Path, path: PathBuf) -> PathBuf {
    config
        .parent()
        .map_or(path.clone(), |folder| folder.join(path))
}

fn read(path: &Path, needed: bool) -> Result<Option<String>, CliError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !needed => Ok(None),
        Err(source) => Err(CliError::File {
            action: "read",
            path: path.to_owned(),
            source,
        }),
    }
}

fn read_token(path: &Path) -> Result<String, CliError> {
    let text = std::fs::read_to_string(path).map_err(|source| CliError::File {
        action: "read the token file",
        path: path.to_owned(),
        source,
    })?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn global(url: &[&str], token_file: Option<&str>) -> Global {
        let url = url.iter().map(|url| (*url).to_owned()).collect();
        Global {
            url,
            token_file: token_file.map(Into::into),
            ..Global::default()
        }
    }

    fn target(url: &str, token_file: Option<PathBuf>) -> Target {
        Target {
            urls: vec![url.to_owned()],
            token_file,
        }
    }

    #[test]
    fn the_nearest_source_wins_and_tokens_stay_with_their_address() {
        let home = tempfile::tempdir().unwrap();
        let here = tempfile::tempdir().unwrap();
        let (home, here) = (home.path(), here.path());
        let found = |global: &Global| find(global, Some(home), here);
        assert!(matches!(
            found(&global(&[], None)),
            Err(CliError::NoCluster)
        ));
        assert_eq!(
            found(&global(&["http://a"], None)).unwrap(),
            target("http://a", None)
        );

        std::fs::create_dir(here.join("mdfs-data")).unwrap();
        let dev = r#"{"url": "http://dev", "token_file": "root.token", "processes": []}"#;
        std::fs::write(here.join(DEV_FILE), dev).unwrap();
        let dev_token = Some(here.join("mdfs-data/root.token"));
        assert_eq!(
            found(&global(&[], None)).unwrap(),
            target("http://dev", dev_token.clone())
        );
        assert_eq!(
            found(&global(&["http://a"], None)).unwrap(),
            target("http://a", None)
        );
        assert_eq!(
            found(&global(&["http://dev"], None)).unwrap(),
            target("http://dev", dev_token)
        );

        std::fs::create_dir_all(home.join(".config/mdfs")).unwrap();
        let config = home.join(".config/mdfs/config.yaml");
        std::fs::write(&config, "url: http://conf\ntoken_file: /t").unwrap();
        assert_eq!(
            found(&global(&[], None)).unwrap(),
            target("http://conf", Some("/t".into()))
        );
        let by_hand = found(&global(&["http://a"], Some("mine"))).unwrap();
        assert_eq!(by_hand, target("http://a", Some("mine".into())));

        std::fs::write(&config, "addres: http://conf").unwrap();
        assert!(matches!(
            found(&global(&[], None)),
            Err(CliError::ConfigFile { .. })
        ));
    }
}
