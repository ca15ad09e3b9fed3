//! The table of settings of each role: the arguments it is started with, and their bounds.

use crate::roles::{MasterArgs, OperatorArgs, WorkerArgs};
use clap::{Arg, ArgAction, Args, Command};
use mdfs_service::settings::{Quantity, Setting, Size, Span};
use std::any::TypeId;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// A server role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Leads, and serves the API.
    Master,
    /// Keeps chunks.
    Worker,
    /// Runs clusters on Kubernetes.
    Operator,
}

/// What a setting's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A span of time.
    Span,
    /// Bytes.
    Size,
    /// Bytes a second.
    Rate,
    /// A whole number.
    Number,
    /// True or false.
    Switch,
    /// A file or folder.
    Path,
    /// Anything else.
    Text,
}

/// A setting of a role.
pub(super) struct Row {
    /// Its name in a file.
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Whether it may have several values.
    pub(super) many: bool,
    /// The argument it is.
    pub(super) arg: Arg,
    /// The least and the most that it may be.
    pub(super) bounds: Option<(Quantity, Quantity)>,
    /// What it is, in one line.
    pub(super) about: String,
    /// What it is when it was not set; none if it must be set.
    pub(super) default: Option<String>,
}

impl Role {
    pub(super) const ALL: [Self; 3] = [Self::Master, Self::Worker, Self::Operator];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Worker => "worker",
            Self::Operator => "operator",
        }
    }

    /// Its settings, those under one heading next to each other.
    pub(super) fn settings(self) -> Vec<Row> {
        let command = Command::new(self.name());
        let mut command = match self {
            Self::Master => MasterArgs::augment_args(command),
            Self::Worker => WorkerArgs::augment_args(command),
            Self::Operator => OperatorArgs::augment_args(command),
        };
        command.build();
        let args = command.get_arguments().filter(|arg| is_setting(arg));
        let mut rows: Vec<Row> = args.map(|arg| self.row(arg)).collect();
        let mut headings: Vec<String> = Vec::new();
        for row in &rows {
            if !headings.iter().any(|heading| heading == row.heading()) {
                headings.push(row.heading().to_owned());
            }
        }
        rows.sort_by_key(|row| headings.iter().position(|heading| heading == row.heading()));
        rows
    }

    fn row(self, arg: &Arg) -> Row {
        let name = arg.get_id().to_string();
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let (about, described) = match help.split_once(" [default: ") {
            Some((about, default)) => (about, default.strip_suffix(']')),
            None => (help.as_str(), None),
        };
        let fixed = arg.get_default_values().first();
        Row {
            kind: kind(arg),
            many: matches!(arg.get_action(), ArgAction::Append),
            bounds: self.bounds(&name),
            about: about.to_owned(),
            default: fixed
                .map(|value| value.to_string_lossy().into_owned())
                .or_else(|| described.map(str::to_owned)),
            arg: arg.clone(),
            name,
        }
    }

    /// What the role's own check takes for a setting.
    fn bounds(self, name: &str) -> Option<(Quantity, Quantity)> {
        let own = match self {
            Self::Master => find(mdfs_master::Config::SETTINGS, name)
                .or_else(|| find(mdfs_master::Limits::SETTINGS, name))
                .or_else(|| find(mdfs_master::gateway::Limits::SETTINGS, name)),
            Self::Worker => find(mdfs_worker::Config::SETTINGS, name)
                .or_else(|| find(mdfs_worker::Limits::SETTINGS, name)),
            Self::Operator => find(mdfs_operator::Config::SETTINGS, name),
        };
        own.or_else(|| find(mdfs_service::Limits::SETTINGS, name))
    }
}

fn find<C>(settings: &[Setting<C>], name: &str) -> Option<(Quantity, Quantity)> {
    let setting = settings.iter().find(|setting| setting.name == name)?;
    Some((setting.least, setting.most))
}

/// Not what says where settings are, what is to be done with them, or what belongs to one process.
fn is_setting(arg: &Arg) -> bool {
    let id = arg.get_id();
    arg.get_long().is_some()
        && !arg.is_hide_set()
        && !["config", "print_config", "help"]
            .iter()
            .any(|other| id == other)
}

fn kind(arg: &Arg) -> Kind {
    let kind = arg.get_value_parser().type_id();
    let is = |other: TypeId| kind == other;
    let a_second = || {
        let names = arg.get_value_names().unwrap_or_default();
        names.iter().any(|name| name.ends_with("/s"))
    };
    if is(TypeId::of::<Span>()) {
        Kind::Span
    } else if is(TypeId::of::<Size>()) {
        if a_second() { Kind::Rate } else { Kind::Size }
    } else if is(TypeId::of::<usize>()) || is(TypeId::of::<NonZeroUsize>()) {
        Kind::Number
    } else if is(TypeId::of::<bool>()) {
        Kind::Switch
    } else if is(TypeId::of::<PathBuf>()) {
        Kind::Path
    } else {
        Kind::Text
    }
}

impl Row {
    pub(super) fn heading(&self) -> &str {
        self.arg.get_help_heading().unwrap_or_default()
    }

    /// Whether its default is a value, and no rule that finds one.
    pub(super) fn is_fixed(&self) -> bool {
        !self.arg.get_default_values().is_empty()
    }

    pub(super) fn flag(&self) -> String {
        format!("--{}", self.arg.get_long().unwrap_or_default())
    }

    pub(super) fn variable(&self) -> String {
        let variable = self.arg.get_env().unwrap_or_default();
        variable.to_string_lossy().into_owned()
    }

    /// Tells what is wrong with a value, if anything is, without a word of the value itself.
    pub(super) fn check(&self, text: &str) -> Result<(), String> {
        if let Some(comma) = self.arg.get_value_delimiter().filter(|&c| text.contains(c)) {
            return Err(format!(
                "must be a list instead of values with {comma:?} between"
            ));
        }
        let alone = Command::new("setting")
            .no_binary_name(true)
            .arg(self.arg.clone().required(false));
        let Err(error) = alone.try_get_matches_from([format!("{}={text}", self.flag())]) else {
            return Ok(());
        };
        let why = std::error::Error::source(&error).map(ToString::to_string);
        Err(match self.kind {
            Kind::Number => "expected a whole number".to_owned(),
            Kind::Switch => "expected true or false".to_owned(),
            Kind::Path => "expected a path".to_owned(),
            Kind::Span | Kind::Size | Kind::Rate | Kind::Text => {
                why.unwrap_or_else(|| "expected a text".to_owned())
            }
        })
    }
}
