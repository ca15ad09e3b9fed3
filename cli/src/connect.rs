//! Which cluster to talk to, and as whom.
//!
//! Flags and environment come first, then the configuration file, then a cluster that `mdfs dev`
//! runs in this folder. A token goes only to the address it was found with, unless it was given by
//! hand together with another address. Whoever made the folder one stands in may be a stranger: its
//! state names an address on this machine and a token inside itself, or it is not believed.

use crate::args::Global;
use crate::error::CliError;
use crate::output::shown;
use mdfs_client::{Client, ClientConfig};
use mdfs_protocol::problem::Code;
use serde::Deserialize;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Where `mdfs dev` says how to reach the cluster it runs, unless it was given another folder.
pub(crate) const DEV_FILE: &str = "mdfs-data/dev.json";

/// Where the configuration is, in the home folder.
const USUAL_CONFIG: &str = ".config/mdfs/config.yaml";

/// An address and the token for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Target {
    urls: Vec<String>,
    token_file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    url: Option<Addresses>,
    token_file: Option<PathBuf>,
}

/// One master, or several of one cluster.
#[derive(Deserialize)]
#[serde(untagged, expecting = "`url` is an address or a list of addresses")]
enum Addresses {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize)]
struct DevFile {
    url: String,
    /// All masters; a file of an earlier version has none.
    #[serde(default)]
    urls: Vec<String>,
    token_file: PathBuf,
}

/// Which cluster is meant, and why.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) urls: Vec<String>,
    pub(crate) token_file: Option<PathBuf>,
    /// Where the address was found, for people.
    pub(crate) from: String,
}

/// The cluster that the options, the configuration, or this folder name; asks nobody.
///
/// # Errors
/// If there is none, or a file that should say how cannot be read.
pub(crate) fn known(global: &Global) -> Result<Known, CliError> {
    let (home, here) = (std::env::home_dir(), Path::new("."));
    let Target { urls, token_file } = find(global, home.as_deref(), here)?;
    let from = if !global.url.is_empty() {
        "--url or MDFS_URL".to_owned()
    } else if from_config(global.config.as_deref(), home.as_deref())?.is_some() {
        match &global.config {
            Some(path) => path.display().to_string(),
            None => format!("~/{USUAL_CONFIG}"),
        }
    } else {
        here.join(DEV_FILE).display().to_string()
    };
    Ok(Known {
        urls,
        token_file,
        from,
    })
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

/// Says of a token that the cluster refused where it is from.
pub(crate) fn hint_at_token(global: &Global, error: CliError) -> CliError {
    match known(global).ok().and_then(|known| known.token_file) {
        Some(file) => {
            let file = file.to_string_lossy();
            let hint = format!(
                "the cluster does not know the token in {}, or it has ended",
                shown(&file)
            );
            error.hinted_at(&[Code::Unauthorized], hint)
        }
        None => error,
    }
}

fn find(global: &Global, home: Option<&Path>, here: &Path) -> Result<Target, CliError> {
    let configured = from_config(global.config.as_deref(), home)?;
    if configured.is_none() && global.url.is_empty() && global.token_file.is_some() {
        // The address would be that of whatever this folder says.
        return Err(CliError::Usage(
            "a token file was given, but not the cluster it is for: name it by --url or MDFS_URL"
                .to_owned(),
        ));
    }
    let known = match (configured, from_dev(here)) {
        (Some(target), _) => Some(target),
        // Who names a cluster does not depend on what lies in the folder.
        (None, Err(_)) if !global.url.is_empty() => None,
        (None, dev) => dev?,
    };
    let mut target = match known {
        Some(known) if global.url.is_empty() => known,
        None if global.url.is_empty() => return Err(CliError::NoCluster),
        known => {
            let knows = |known: &Target| global.url.iter().all(|url| known.urls.contains(url));
            Target {
                urls: global.url.clone(),
                token_file: known.filter(knows).and_then(|known| known.token_file),
            }
        }
    };
    if let Some(token_file) = &global.token_file {
        target.token_file = Some(token_file.clone());
    }
    Ok(target)
}

fn from_config(given: Option<&Path>, home: Option<&Path>) -> Result<Option<Target>, CliError> {
    let usual = home.map(|home| home.join(USUAL_CONFIG));
    let Some(path) = given.map(Path::to_owned).or(usual) else {
        return Ok(None);
    };
    let Some(text) = read(&path, given.is_some())? else {
        return Ok(None);
    };
    let refuse = |what: String| CliError::ConfigFile {
        path: path.clone(),
        what,
    };
    let ConfigFile { url, token_file } =
        serde_yaml::from_str(&text).map_err(|error| refuse(error.to_string()))?;
    let urls = match url {
        None => return Ok(None),
        Some(Addresses::One(url)) => vec![url],
        Some(Addresses::Several(urls)) if urls.is_empty() => {
            return Err(refuse("`url` is a list without an address".to_owned()));
        }
        Some(Addresses::Several(urls)) => urls,
    };
    let token_file = token_file.map(|file| near(&path, file));
    Ok(Some(Target { urls, token_file }))
}

fn from_dev(here: &Path) -> Result<Option<Target>, CliError> {
    let path = here.join(DEV_FILE);
    let Some(text) = read(&path, false)? else {
        return Ok(None);
    };
    let DevFile {
        url,
        urls,
        token_file,
    } = serde_json::from_str(&text).map_err(|error| CliError::ConfigFile {
        path: path.clone(),
        what: error.to_string(),
    })?;
    let refuse = |what: &str| CliError::ConfigFile {
        path: path.clone(),
        what: what.to_owned(),
    };
    let urls = if urls.is_empty() { vec![url] } else { urls };
    if !urls.iter().all(|url| is_on_this_machine(url)) {
        return Err(refuse("its url is not http://ADDRESS:PORT on this machine"));
    }
    let token_file = inside(&path, &token_file)
        .ok_or_else(|| refuse("its token file is not a file in the same folder"))?;
    Ok(Some(Target {
        urls,
        token_file: Some(token_file),
    }))
}

fn is_on_this_machine(url: &str) -> bool {
    let address = url
        .strip_prefix("http://")
        .and_then(|rest| rest.parse::<SocketAddr>().ok());
    address.is_some_and(|address| address.ip().is_loopback())
}

/// The real path of a file that lies, links followed, in the folder of `dev_file`.
fn inside(dev_file: &Path, token_file: &Path) -> Option<PathBuf> {
    let folder = dev_file.parent()?.canonicalize().ok()?;
    let file = folder.join(token_file).canonicalize().ok()?;
    (file.starts_with(&folder) && file.is_file()).then_some(file)
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
        let dev = r#"{"url": "http://127.0.0.1:80", "token_file": "root.token", "processes": []}"#;
        std::fs::write(here.join(DEV_FILE), dev).unwrap();
        let dev_token = here.join("mdfs-data/root.token");
        std::fs::write(&dev_token, "secret").unwrap();
        let dev_token = Some(dev_token.canonicalize().unwrap());
        assert_eq!(
            found(&global(&[], None)).unwrap(),
            target("http://127.0.0.1:80", dev_token.clone())
        );
        assert_eq!(
            found(&global(&["http://a"], None)).unwrap(),
            target("http://a", None)
        );
        assert_eq!(
            found(&global(&["http://127.0.0.1:80"], None)).unwrap(),
            target("http://127.0.0.1:80", dev_token)
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

        std::fs::write(&config, "url:\n- http://a\n- http://b\ntoken_file: /t").unwrap();
        let both = Target {
            urls: vec!["http://a".to_owned(), "http://b".to_owned()],
            token_file: Some("/t".into()),
        };
        assert_eq!(found(&global(&[], None)).unwrap(), both);
        let one_of_them = found(&global(&["http://b"], None)).unwrap();
        assert_eq!(one_of_them, target("http://b", Some("/t".into())));
        let with_another = found(&global(&["http://b", "http://c"], None)).unwrap();
        assert_eq!(with_another.token_file, None);

        for wrong in [
            "addres: http://conf",
            "url: []",
            "url: {a: b}",
            "url:\n- - a",
        ] {
            std::fs::write(&config, wrong).unwrap();
            let refused = found(&global(&[], None));
            assert!(
                matches!(refused, Err(CliError::ConfigFile { .. })),
                "{wrong}"
            );
        }
    }

    #[test]
    fn of_a_token_that_is_not_known_it_is_said_where_it_is_from() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mine");
        std::fs::write(&file, "secret").unwrap();
        let refused = || {
            CliError::from(mdfs_client::Error::Refused {
                subject: "a".to_owned(),
                code: Code::Unauthorized,
                detail: String::new(),
                request_id: String::new(),
            })
        };
        let given = global(&["http://a"], file.to_str());
        let error = hint_at_token(&given, refused());
        let hint = error.hint().unwrap();
        assert!(hint.contains(file.to_str().unwrap()) && !hint.contains("secret"));
        let without = hint_at_token(&global(&["http://a"], None), refused());
        assert!(without.hint().unwrap().contains("--token-file"));
    }

    #[test]
    fn a_foreign_folder_gets_no_token_but_its_own() {
        let here = tempfile::tempdir().unwrap();
        let (folder, outside) = (here.path().join("mdfs-data"), here.path().join("mine"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(&outside, "secret").unwrap();
        std::fs::write(folder.join("own"), "secret").unwrap();
        std::os::unix::fs::symlink(&outside, folder.join("link")).unwrap();
        let found = |url: &str, token_file: &str, global: &Global| {
            let dev = serde_json::json!({"url": url, "token_file": token_file});
            std::fs::write(here.path().join(DEV_FILE), dev.to_string()).unwrap();
            find(global, None, here.path())
        };
        let plain = global(&[], None);
        let here_url = "http://127.0.0.1:80";
        let own = folder.join("own");
        for token_file in ["own", own.to_str().unwrap()] {
            let target = found("http://[::1]:80", token_file, &plain).unwrap();
            assert_eq!(target.token_file, Some(own.canonicalize().unwrap()));
        }
        for (url, token_file) in [
            ("http://10.0.0.1:80", "own"),
            ("https://127.0.0.1:80", "own"),
            ("http://127.0.0.1:80@evil", "own"),
            ("http://127.0.0.1.evil:80", "own"),
            (here_url, "../mine"),
            (here_url, outside.to_str().unwrap()),
            (here_url, "link"),
            (here_url, "absent"),
            (here_url, "."),
        ] {
            let refused = found(url, token_file, &plain);
            assert!(
                matches!(refused, Err(CliError::ConfigFile { .. })),
                "{url} {token_file}"
            );
            let named = found(url, token_file, &global(&["http://a"], None)).unwrap();
            assert_eq!(named, target("http://a", None));
        }
        let several = |urls: &[&str]| {
            let dev = serde_json::json!({"url": urls[0], "urls": urls, "token_file": "own"});
            std::fs::write(here.path().join(DEV_FILE), dev.to_string()).unwrap();
            find(&plain, None, here.path())
        };
        let both = [here_url, "http://127.0.0.1:81"];
        assert_eq!(several(&both).unwrap().urls, both);
        let refused = several(&[here_url, "http://10.0.0.1:80"]);
        assert!(matches!(refused, Err(CliError::ConfigFile { .. })));
        let with_token = found(here_url, "own", &global(&[], Some("mine")));
        assert!(matches!(with_token, Err(CliError::Usage(_))));
        let by_hand = found(here_url, "own", &global(&[here_url], Some("mine"))).unwrap();
        assert_eq!(by_hand, target(here_url, Some("mine".into())));
    }
}
