//! `mdfs token`

use super::Context;
use crate::duration::parse_duration;
use crate::error::{CliError, Exit};
use crate::output::{print, print_text, shown, table};
use clap::{Args, Subcommand};
use mdfs_protocol::public::{CreatedToken, NewToken, TokenInfo};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Make, list and revoke access tokens
#[derive(Debug, Args)]
pub struct Token {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Make a token; its secret is shown once
    ///
    /// It allows no more than the token it is made with, and lives no longer. Without --out, standard
    /// output has the secret alone, whatever --output says: whoever sees it may do what the token allows.
    Create(Create),
    /// Show the tokens, without their secrets
    Ls,
    /// End a token, within two seconds everywhere
    Revoke(Revoke),
}

/// Make a token; its secret is shown once
#[derive(Debug, Args)]
struct Create {
    /// What it is for
    label: String,
    /// What it allows: read, write, delete, metrics, admin; several separated by commas
    #[arg(long, value_name = "ROLE", value_delimiter = ',', required = true)]
    role: Vec<Role>,
    /// Folder that read, write and delete hold for [default: all names]
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = "",
        hide_default_value = true
    )]
    prefix: String,
    /// How long it works, at most 3650d
    #[arg(long, value_name = "SPAN", default_value = "90d", value_parser = parse_duration)]
    expires: Duration,
    /// Write the secret to this new file, which only its owner can read, instead of to standard
    /// output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// If the file is there, leave it and make no token
    #[arg(long, requires = "out")]
    keep: bool,
}

/// End a token, within two seconds everywhere
#[derive(Debug, Args)]
struct Revoke {
    /// Its id, as `mdfs token ls` shows it
    id: mdfs_core::id::TokenId,
}

type Role = mdfs_core::access::Role;

impl Token {
    pub(crate) async fn execute(self, context: &Context) -> Result<Exit, CliError> {
        match self.act {
            Act::Create(create) => create.execute(context).await,
            Act::Ls => list(context).await,
            Act::Revoke(Revoke { id }) => {
                context.client()?.revoke_token(id).await?;
                if !context.global.quiet {
                    eprintln!("token {id} ends within two seconds");
                }
                Ok(Exit::Ok)
            }
        }
    }
}

impl Create {
    async fn execute(self, context: &Context) -> Result<Exit, CliError> {
        if let Some(path) = self.out.as_ref().filter(|path| self.keep && path.exists()) {
            let text = format!("{} is there, so no token was made", path.display());
            super::admin::say(context, &text);
            return Ok(Exit::Ok);
        }
        let client = context.client()?;
        // Made first: a secret that cannot be written is lost.
        let mut file = self.out.as_deref().map(new_private_file).transpose()?;
        let token = NewToken {
            label: self.label,
            roles: self.role.into_iter().collect(),
            prefix: self.prefix,
            expires_seconds: self.expires.as_secs(),
        };
        let created = client.create_token(&token).await;
        if let (Err(_), Some(path)) = (&created, &self.out) {
            // It is empty, and was made here.
            let _ = std::fs::remove_file(path);
        }
        let CreatedToken { secret, info } = created?;
        if !context.global.quiet {
            let (id, expires) = (info.id, &info.expires);
            eprintln!("token {id} works until {expires}; its secret is not shown again");
            if self.out.is_none() {
                eprintln!("keep it in a file that only you can read, as --out FILE makes one");
            }
        }
        match (&mut file, &self.out) {
            (Some(file), Some(path)) => {
                let written = file.write_all(format!("{secret}\n").as_bytes());
                written
                    .and_then(|()| file.sync_all())
                    .map_err(|source| CliError::File {
                        action: "write",
                        path: path.clone(),
                        source,
                    })?;
                let text = || format!("{}\n", info.id);
                let id = info.id.to_string();
                print(context.global.output, &info, text, [id.as_str()])?;
            }
            _ => print_text(&secret)?,
        }
        Ok(Exit::Ok)
    }
}

/// A new file that only its owner can read; never one that is there already.
fn new_private_file(path: &Path) -> Result<std::fs::File, CliError> {
    let mut options = OpenOptions::new();
    let made = options.write(true).create_new(true).mode(0o600).open(path);
    made.map_err(|source| CliError::File {
        action: "make",
        path: path.to_owned(),
        source,
    })
}

async fn list(context: &Context) -> Result<Exit, CliError> {
    let tokens = context.client()?.tokens().await?;
    let ids: Vec<String> = tokens.tokens.iter().map(|it| it.id.to_string()).collect();
    let rows = || {
        table(
            &["ID", "LABEL", "ROLES", "PREFIX", "EXPIRES", "STATE"],
            tokens.tokens.iter().map(row),
        )
    };
    let names = ids.iter().map(String::as_str);
    print(context.global.output, &tokens, rows, names)?;
    Ok(Exit::Ok)
}

fn row(token: &TokenInfo) -> Vec<String> {
    let roles: Vec<&str> = token.roles.iter().map(Role::as_str).collect();
    let prefix = if token.prefix.is_empty() {
        "(all)".into()
    } else {
        shown(&token.prefix)
    };
    vec![
        token.id.to_string(),
        shown(&token.label).into_owned(),
        roles.join(","),
        prefix.into_owned(),
        token.expires.clone(),
        if token.expired { "expired" } else { "valid" }.to_owned(),
    ]
}
