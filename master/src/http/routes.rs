//! All routes in one table: path, rule, handlers. What is not in it does not exist.

use super::error::HttpError;
use super::rule::{FIGURES, Rule};
use super::{
    App, acting, admin, asked, console, events, files, guard, heartbeat, look_up, openapi,
    original, overview, probes, reading, recover, session, signing, storing, tokens, transfer,
    trash, uploads,
};
use axum::Router;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::Method;
use mdfs_core::access::Role;
use mdfs_protocol::problem::Code;
use mdfs_protocol::session::SESSION;
use mdfs_protocol::{ask, feed, internal, local, public, recovery, transfer as records};

/// The label of requests that no route takes.
pub(crate) const NO_ROUTE: &str = "none";

/// One path, who may use which method of it, and what answers.
pub(crate) struct Route {
    pub(crate) path: &'static str,
    pub(crate) rules: &'static [(&'static str, Rule)],
    handlers: MethodRouter<App>,
}

/// A route whose methods have a rule each, or one for all.
macro_rules! route {
    ($path:expr, $($method:ident: $rule:expr => $handler:expr),+ $(,)?) => {
        Route {
            path: $path,
            rules: &[$((stringify!($method), $rule)),+],
            handlers: MethodRouter::new()$(.merge(on(MethodFilter::$method, $handler)))+,
        }
    };
    ($path:expr, $rule:expr, $($method:ident => $handler:expr),+ $(,)?) => {
        Route {
            path: $path,
            rules: &[$((stringify!($method), $rule)),+],
            handlers: MethodRouter::new()$(.merge(on(MethodFilter::$method, $handler)))+,
        }
    };
}

/// The paths under which names stand, without a name. They exist so that an empty name is told to
/// be one.
const FILE_WITHOUT_NAME: &str = "/v1/files/";
const PLAY_WITHOUT_NAME: &str = "/play/";

const READ: Rule = Rule::Name(Role::Read);
const WRITE: Rule = Rule::Name(Role::Write);
const DELETE: Rule = Rule::Name(Role::Delete);
const READ_ASKED: Rule = Rule::NameInQuery(Role::Read);
const DELETE_ASKED: Rule = Rule::NameInQuery(Role::Delete);
const ADMIN: Rule = Rule::Has(Role::Admin);

/// The table.
pub(crate) fn table() -> Vec<Route> {
    vec![
        route!(public::FILE,
            GET: READ => reading::file, HEAD: READ => reading::file,
            PUT: WRITE => storing::put, DELETE: DELETE => files::delete,
            POST: Rule::Act => acting::act),
        route!(FILE_WITHOUT_NAME,
            GET: READ => reading::file, HEAD: READ => reading::file,
            PUT: WRITE => storing::put, DELETE: DELETE => files::delete,
            POST: Rule::Act => acting::act),
        route!(public::PLAY, READ, GET => reading::file, HEAD => reading::file),
        route!(PLAY_WITHOUT_NAME, READ, GET => reading::file, HEAD => reading::file),
        route!(public::FILES, Rule::Holder, GET => files::list),
        route!(public::UPLOADS, Rule::Holder, GET => uploads::list, POST => uploads::begin),
        route!(public::UPLOAD, Rule::Holder, GET => uploads::find, DELETE => uploads::abort),
        route!(public::UPLOAD_CHUNK, Rule::Holder, PUT => uploads::put_chunk),
        route!(public::UPLOAD_COMMIT, Rule::Holder, POST => uploads::commit),
        route!(public::TRASH, Rule::Holder, GET => trash::list),
        route!(public::RENAME, Rule::Holder, POST => files::rename),
        route!(public::SIGN, Rule::Holder, POST => signing::sign),
        route!(SESSION,
            GET: Rule::Holder => session::find, POST: Rule::Anyone => session::open,
            DELETE: Rule::Anyone => session::end),
        route!(public::EVENTS, Rule::Holder, GET => events::events),
        route!(public::OVERVIEW, Rule::Holder, GET => overview::overview),
        route!(public::HISTORY, ADMIN, GET => overview::history),
        route!(public::STATUS, ADMIN, GET => admin::status),
        route!(public::WORKERS, ADMIN, GET => admin::workers),
        route!(public::TASKS, ADMIN, GET => admin::tasks),
        route!(public::BOOTSTRAP, ADMIN, POST => admin::bootstrap),
        route!(public::DRAIN, ADMIN, POST => admin::drain),
        route!(public::UNDRAIN, ADMIN, POST => admin::undrain),
        route!(public::REBALANCE, ADMIN, POST => admin::rebalance),
        route!(public::SCRUB, ADMIN, GET => admin::scrub, POST => admin::begin_scrub),
        route!(public::DECOMMISSION, ADMIN, POST => admin::decommission),
        route!(public::RETIRE, ADMIN, POST => admin::retire),
        route!(public::VOTERS, ADMIN, POST => admin::voters),
        route!(public::FORGET_VOTER, ADMIN, POST => admin::forget_voter),
        route!(public::ANNOUNCE, ADMIN, POST => admin::announce),
        route!(public::POLICY, ADMIN, GET => admin::policy, POST => admin::change_policy),
        route!(public::REPAIR, ADMIN, POST => admin::repair),
        route!(public::EXPORT, ADMIN, GET => transfer::export),
        route!(public::IMPORT, ADMIN, POST => transfer::import),
        route!(public::RECOVER, ADMIN, POST => recover::recover),
        route!(public::RECOVER_SCAN, ADMIN, POST => recover::scan),
        route!(public::RECOVER_FINISH, ADMIN, POST => recover::finish),
        route!(public::TOKENS, ADMIN, GET => tokens::list, POST => tokens::create),
        route!(public::TOKEN, ADMIN, DELETE => tokens::revoke),
        route!(openapi::PATH, Rule::Holder, GET => openapi::answer),
        route!(console::PAGE, Rule::Anyone, GET => console::page, HEAD => console::page),
        route!(console::FILE, Rule::Anyone, GET => console::file, HEAD => console::file),
        route!(public::HEALTH, Rule::Anyone, GET => probes::health, HEAD => probes::health),
        route!(public::HEALTH_LIVE, Rule::Anyone, GET => probes::health, HEAD => probes::health),
        route!(public::HEALTH_READY, Rule::Anyone, GET => probes::ready, HEAD => probes::ready),
        route!(public::STATS, FIGURES, GET => probes::stats),
        route!(public::METRICS, FIGURES, GET => probes::metrics),
        route!(original::UPLOAD, Rule::Holder, POST => original::upload),
        route!(original::DOWNLOAD, READ_ASKED,
            GET => original::download, HEAD => original::download),
        route!(original::PLAY, READ_ASKED, GET => original::play, HEAD => original::play),
        route!(original::CHECKSUM, READ_ASKED, GET => original::checksum),
        route!(original::VERIFY, READ_ASKED, GET => original::verify),
        route!(original::DELETE, DELETE_ASKED,
            POST => original::delete, DELETE => original::delete),
        route!(internal::HEARTBEAT, Rule::Servers,
            POST => heartbeat::beat, GET => heartbeat::beats),
        route!(ask::ASK, Rule::Servers, POST => asked::answer),
        route!(internal::MASTERS, Rule::Servers, GET => heartbeat::masters),
        route!(feed::FEED, Rule::Servers, POST => super::feed::answer),
        route!(records::PASSED, Rule::Servers, GET => transfer::export_here),
        route!(records::IDS, Rule::Servers, GET => transfer::ids_here),
        route!(recovery::PASSED, Rule::Servers, GET => recover::scan_here),
        route!(local::LOOK_UP, Rule::Servers, POST => look_up::look_up),
    ]
}

/// The path and the rules of each route.
pub(crate) fn rules() -> Vec<(&'static str, &'static [(&'static str, Rule)])> {
    let route = |route: Route| (route.path, route.rules);
    table().into_iter().map(route).collect()
}

/// The labels that requests are counted under: one for each route, and one for the rest.
pub(crate) fn labels() -> Vec<&'static str> {
    table()
        .iter()
        .map(|route| route.path)
        .chain([NO_ROUTE])
        .collect()
}

/// The rule of each method of each path. What is not in the table is answered to whoever holds a
/// token, by the router: so that nobody else learns which routes exist.
pub(crate) struct Rules(Vec<(&'static str, &'static [(&'static str, Rule)])>);

impl Rules {
    fn of(table: &[Route]) -> Self {
        Self(
            table
                .iter()
                .map(|route| (route.path, route.rules))
                .collect(),
        )
    }

    /// The label and the rule of a request for a matched path.
    pub(crate) fn find(&self, matched: Option<&str>, method: &Method) -> (&'static str, Rule) {
        let found = matched.and_then(|path| self.0.iter().find(|(known, _)| *known == path));
        let Some((label, rules)) = found else {
            return (NO_ROUTE, Rule::Holder);
        };
        let of = |method: &str| rules.iter().find(|(known, _)| *known == method);
        // The router has `GET` answer `HEAD` where that has no handler of its own.
        let as_get = || of("GET").filter(|_| *method == Method::HEAD);
        let rule = of(method.as_str()).or_else(as_get);
        (label, rule.map_or(Rule::Holder, |(_, rule)| *rule))
    }
}

/// The routes of a master, each behind its rule.
pub fn router(app: App) -> Router {
    let table = table();
    let rules = std::sync::Arc::new(Rules::of(&table));
    let routes = table.into_iter().fold(Router::new(), |router, route| {
        router.route(route.path, route.handlers)
    });
    let guard_state = guard::Guard {
        app: app.clone(),
        rules,
    };
    routes
        .fallback(|| async { HttpError::new(Code::RouteNotFound, "no route has this path") })
        .method_not_allowed_fallback(|| async {
            HttpError::new(
                Code::MethodNotAllowed,
                "the route does not take this method",
            )
        })
        .layer(axum::middleware::from_fn_with_state(
            guard_state,
            guard::guard,
        ))
        .with_state(app)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::{Gateway, Limits};
    use crate::http::rule::ACTS;
    use crate::http::{Access, Parts};
    use crate::leader::handle::LeaderHandle;
    use mdfs_client::link::{Links, Reads};
    use mdfs_protocol::access::{ClusterKey, Secret};
    use mdfs_protocol::link::LinkKey;
    use mdfs_service::metrics::Registry;
    use mdfs_service::{Clock, Tasks};
    use tokio_util::sync::CancellationToken;
    use tower::ServiceExt;

    #[test]
    fn every_route_has_a_rule_and_only_probes_pages_and_logging_in_are_open() {
        let pages = [console::PAGE, console::FILE];
        for route in table() {
            let open = route.path.starts_with("/health") || pages.contains(&route.path);
            assert!(!route.rules.is_empty());
            for (method, rule) in route.rules {
                // Whoever logs in has no token to show yet, and forgetting a cookie needs none.
                let open = open || (route.path == SESSION && *method != "GET");
                assert_eq!(*rule == Rule::Anyone, open, "{method} {}", route.path);
            }
        }
    }

    /// A router whose leader is gone.
    fn lonely_router() -> Router {
        let secret = |fill: u8| Secret::new(&[fill; 32]).unwrap();
        let leader = LeaderHandle::new(tokio::sync::mpsc::channel(1).0);
        let (clock, tasks) = (Clock::manual(), Tasks::new(CancellationToken::new()));
        let cluster = ClusterKey::new(&secret(b'c'));
        let links = Links::new(&cluster, None, Reads::Large).unwrap();
        let (limits, registry) = (Limits::default(), Registry::new());
        let gateway = Gateway::new(leader.clone(), links, clock.clone(), tasks.clone(), limits);
        let access = Access {
            root: vec![secret(b'r')],
            cluster: vec![cluster],
            links: vec![LinkKey::new(secret(b'l'))],
            proxies: Vec::new(),
            failures: crate::config::Failures::default(),
        };
        router(
            App::new(Parts {
                gateway,
                leader,
                access,
                machine: clock.into(),
                tasks,
                registry,
                beat_silence: crate::config::Limits::default().beat_silence(),
                console: crate::config::Console::default(),
                watchers: crate::board::mirror::Watchers::default(),
            })
            .unwrap(),
        )
    }

    #[tokio::test]
    async fn every_method_of_every_route_keeps_to_its_rule() {
        let router = lonely_router();
        let root = format!("Bearer {}", "r".repeat(32));
        let server = ClusterKey::new(&Secret::new(&[b'c'; 32]).unwrap()).authorization();
        for route in table() {
            let path = route.path.replace("{*name}", "name");
            let path = path.replace("{id}", &"0".repeat(32));
            let path = path.replace("{index}", "0");
            let path = path.replace("{*path}", "index.html");
            for (method, rule) in route.rules {
                for (caller, let_in) in [
                    ("", *rule == Rule::Anyone),
                    (&root, *rule != Rule::Servers),
                    (&server, matches!(rule, Rule::Anyone | Rule::Servers)),
                ] {
                    // Everything that asks for a name gets one.
                    let target = match rule {
                        Rule::NameInQuery(_) => format!("{path}?name=name"),
                        _ => path.clone(),
                    };
                    let request = http::Request::builder().method(*method).uri(&target);
                    let request = request.header(http::header::AUTHORIZATION, caller);
                    let request = request.body(axum::body::Body::empty()).unwrap();
                    let status = router.clone().oneshot(request).await.unwrap().status();
                    // So many failures are not even looked at any more.
                    let is_in = !matches!(status.as_u16(), 401 | 429);
                    assert_eq!(is_in, let_in, "{method} {path} by {caller}");
                }
            }
        }
    }

    #[test]
    fn what_is_not_in_the_table_is_not_told_to_strangers() {
        let rules = Rules::of(&table());
        let get = Method::GET;
        assert_eq!(rules.find(None, &get), (NO_ROUTE, Rule::Holder));
        assert_eq!(rules.find(Some("/unknown"), &get), (NO_ROUTE, Rule::Holder));
        let health = public::HEALTH;
        assert_eq!(rules.find(Some(health), &get), (health, Rule::Anyone));
        assert_eq!(
            rules.find(Some(health), &Method::PUT),
            (health, Rule::Holder)
        );
    }

    #[test]
    fn head_is_for_whom_get_is() {
        let table = table();
        let rules = Rules::of(&table);
        for route in &table {
            if route.rules.iter().any(|(method, _)| *method == "GET") {
                let (path, get) = (Some(route.path), Method::GET);
                let head = rules.find(path, &Method::HEAD);
                assert_eq!(head, rules.find(path, &get), "{}", route.path);
            }
        }
        let tokens = rules.find(Some(public::TOKENS), &Method::HEAD);
        assert_eq!(tokens, (public::TOKENS, ADMIN));
    }

    /// The page that says who may do what is made from the table.
    #[test]
    fn the_table_of_routes_in_the_documentation_is_the_one_here() {
        let mut page = String::from(
            "# Routes of a master, and who may use them\n\n\
             Made from the table in `master/src/http/routes.rs` and compared with it by a test. What\n\
             is not here does not exist: whoever holds a token is told so, anybody else gets 401. `HEAD` is\n\
             for whom `GET` is, on every path.\n\n\
             | method | path | who |\n|---|---|---|\n",
        );
        for route in table() {
            for (method, rule) in route.rules {
                page += &format!("| {method} | `{}` | {} |\n", route.path, in_words(*rule));
            }
        }
        page += "\n`POST /v1/files/{*name}` needs, by what its query says:\n\n| query | role |\n|---|---|\n";
        for (act, role) in ACTS {
            page += &format!("| `?{act}` | {role} |\n");
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/routes.md");
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(written == page, "docs/routes.md should be:\n{page}");
    }

    fn in_words(rule: Rule) -> String {
        match rule {
            Rule::Anyone => "anyone".to_owned(),
            Rule::Servers => "servers of the cluster".to_owned(),
            Rule::Has(role) => role.to_string(),
            Rule::Name(role) => format!("{role}, for the name"),
            Rule::NameInQuery(role) => format!("{role}, for the name in the query"),
            Rule::Act => "by the query, for the name".to_owned(),
            Rule::Holder => "any token, for the names it is about".to_owned(),
        }
    }
}
