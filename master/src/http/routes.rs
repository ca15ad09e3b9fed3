//! All routes in one table: path, rule, handlers. What is not in it does not exist.

use super::access::Rule;
use super::error::HttpError;
use super::{
    App, acting, admin, files, guard, heartbeat, look_up, probes, reading, storing, trash,
};
use axum::Router;
use axum::routing::{MethodFilter, MethodRouter, on};
use mdfs_protocol::problem::Code;
use mdfs_protocol::{internal, local, public};

/// The label of requests that no route takes.
pub(crate) const NO_ROUTE: &str = "none";

/// One path, who may use it, and what answers.
pub(crate) struct Route {
    pub(crate) path: &'static str,
    pub(crate) rule: Rule,
    #[cfg(test)]
    pub(crate) methods: &'static [&'static str],
    handlers: MethodRouter<App>,
}

macro_rules! route {
    ($path:expr, $rule:expr, $($method:ident => $handler:expr),+) => {
        Route {
            path: $path,
            rule: $rule,
            #[cfg(test)]
            methods: &[$(stringify!($method)),+],
            handlers: MethodRouter::new()$(.merge(on(MethodFilter::$method, $handler)))+,
        }
    };
}

/// The paths under which names stand, without a name. They exist so that an empty name is told to
/// be one.
const FILE_WITHOUT_NAME: &str = "/v1/files/";
const PLAY_WITHOUT_NAME: &str = "/play/";

/// The table.
pub(crate) fn table() -> Vec<Route> {
    vec![
        route!(public::FILE, Rule::RootOrLink,
            GET => reading::file, HEAD => reading::file,
            PUT => storing::put, DELETE => files::delete, POST => acting::act),
        route!(FILE_WITHOUT_NAME, Rule::RootOrLink,
            GET => reading::file, HEAD => reading::file,
            PUT => storing::put, DELETE => files::delete, POST => acting::act),
        route!(public::PLAY, Rule::RootOrLink, GET => reading::play, HEAD => reading::play),
        route!(PLAY_WITHOUT_NAME, Rule::RootOrLink, GET => reading::play, HEAD => reading::play),
        route!(public::FILES, Rule::Root, GET => files::list),
        route!(public::TRASH, Rule::Root, GET => trash::list),
        route!(public::RENAME, Rule::Root, POST => files::rename),
        route!(public::SIGN, Rule::Root, POST => admin::sign),
        route!(public::STATUS, Rule::Root, GET => admin::status),
        route!(public::WORKERS, Rule::Root, GET => admin::workers),
        route!(public::TASKS, Rule::Root, GET => admin::tasks),
        route!(public::BOOTSTRAP, Rule::Root, POST => admin::bootstrap),
        route!(public::DRAIN, Rule::Root, POST => admin::drain),
        route!(public::UNDRAIN, Rule::Root, POST => admin::undrain),
        route!(public::REBALANCE, Rule::Root, POST => admin::rebalance),
        route!(public::SCRUB, Rule::Root,
            GET => admin::scrub, POST => admin::begin_scrub),
        route!(public::DECOMMISSION, Rule::Root, POST => admin::decommission),
        route!(public::RETIRE, Rule::Root, POST => admin::retire),
        route!(public::ANNOUNCE, Rule::Root, POST => admin::announce),
        route!(public::POLICY, Rule::Root,
            GET => admin::policy, POST => admin::change_policy),
        route!(public::REPAIR, Rule::Root, POST => admin::repair),
        route!(public::HEALTH, Rule::Anyone, GET => probes::health, HEAD => probes::health),
        route!(public::HEALTH_LIVE, Rule::Anyone, GET => probes::health, HEAD => probes::health),
        route!(public::HEALTH_READY, Rule::Anyone, GET => probes::ready, HEAD => probes::ready),
        route!(public::STATS, Rule::Root, GET => probes::stats),
        route!(public::METRICS, Rule::Root, GET => probes::metrics),
        route!(internal::HEARTBEAT, Rule::Servers, POST => heartbeat::beat),
        route!(local::LOOK_UP, Rule::Servers, POST => look_up::look_up),
    ]
}

/// The labels that requests are counted under: one for each route, and one for the rest.
pub(crate) fn labels() -> Vec<&'static str> {
    table()
        .iter()
        .map(|route| route.path)
        .chain([NO_ROUTE])
        .collect()
}

/// The rule and the label of a matched path. What is not in the table is for root alone: so that
/// nobody else learns which routes exist.
pub(crate) struct Rules(Vec<(&'static str, Rule)>);

impl Rules {
    fn of(table: &[Route]) -> Self {
        Self(table.iter().map(|route| (route.path, route.rule)).collect())
    }

    pub(crate) fn find(&self, matched: Option<&str>) -> (&'static str, Rule) {
        let found = matched.and_then(|path| self.0.iter().find(|(known, _)| *known == path));
        found.copied().unwrap_or((NO_ROUTE, Rule::Root))
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
    use crate::http::{Access, Parts};
    use crate::leader::handle::LeaderHandle;
    use mdfs_client::link::{Links, Reads};
    use mdfs_protocol::access::{ClusterKey, LinkKey, Secret};
    use mdfs_service::metrics::Registry;
    use mdfs_service::{Clock, Tasks};
    use tokio_util::sync::CancellationToken;
    use tower::ServiceExt;

    #[test]
    fn every_route_has_a_rule_and_only_probes_are_open() {
        for route in table() {
            let open = route.path.starts_with("/health");
            assert_eq!(route.rule == Rule::Anyone, open, "{}", route.path);
            assert!(!route.methods.is_empty());
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
        };
        router(
            App::new(Parts {
                gateway,
                leader,
                access,
                clock,
                tasks,
                registry,
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
            for method in route.methods {
                for (caller, let_in) in [
                    ("Bearer nobody", route.rule == Rule::Anyone),
                    (&root, route.rule != Rule::Servers),
                    (&server, matches!(route.rule, Rule::Anyone | Rule::Servers)),
                ] {
                    let request = http::Request::builder().method(*method).uri(&path);
                    let request = request.header(http::header::AUTHORIZATION, caller);
                    let request = request.body(axum::body::Body::empty()).unwrap();
                    let status = router.clone().oneshot(request).await.unwrap().status();
                    assert_eq!(status != 401, let_in, "{method} {path} by {caller}");
                }
            }
        }
    }

    #[test]
    fn what_is_not_in_the_table_is_for_root_alone() {
        let rules = Rules::of(&table());
        assert_eq!(rules.find(None), (NO_ROUTE, Rule::Root));
        assert_eq!(rules.find(Some("/unknown")), (NO_ROUTE, Rule::Root));
        assert_eq!(
            rules.find(Some(public::HEALTH)),
            (public::HEALTH, Rule::Anyone)
        );
    }
}
