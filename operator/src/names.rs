//! The names and labels of everything that the operator makes. Each has one function here, because
//! objects name each other.
//!
//! All follow from the name of the `MdfsCluster`, so that one that is made again finds its volumes and
//! Secrets.

use std::collections::BTreeMap;

/// The field manager of all writes, and the value of the label `app.kubernetes.io/managed-by`.
pub const MANAGER: &str = "mdfs-operator";
/// What holds the resource while its data is being deleted.
pub const FINALIZER: &str = "mdfs.io/data";
/// On each pod and its template: names what the pod is made of. Neither the size of volumes nor the
/// version of the operator changes it.
pub const TEMPLATE_ANNOTATION: &str = "mdfs.io/template";
/// On each object: names what was applied, so that a field that is not wanted any more is noticed.
pub const APPLIED_ANNOTATION: &str = "mdfs.io/applied";
/// On a claim: its disk is being emptied because the operator said so. The value is the disk.
pub const DRAINED_ANNOTATION: &str = "mdfs.io/drained";
/// On a claim: its disk is empty, and the operator has it refused for ever. The value is the disk.
pub const RETIRED_ANNOTATION: &str = "mdfs.io/retired";
/// On a cluster: switches off the one rule of the removal engine that it names.
pub const IGNORED_ANNOTATION: &str = "mdfs.io/ignore-predicate";

/// The port of masters.
pub const MASTER_PORT: i32 = 8080;
/// The port of workers.
pub const WORKER_PORT: i32 = 8081;

/// The label that tells clusters in a namespace apart.
pub const INSTANCE_LABEL: &str = "app.kubernetes.io/instance";
/// The label that tells masters and workers apart.
pub const COMPONENT_LABEL: &str = "app.kubernetes.io/component";
/// The label by which the operator finds what it made.
pub const MANAGED_LABEL: &str = "app.kubernetes.io/managed-by";

/// A kind of pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// Masters.
    Master,
    /// Workers.
    Worker,
}

impl Component {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Worker => "worker",
        }
    }
}

/// Selects everything of a cluster.
pub fn cluster_selector(cluster: &str) -> BTreeMap<String, String> {
    labels(&[
        ("app.kubernetes.io/name", "mdfs"),
        (INSTANCE_LABEL, cluster),
    ])
}

/// Selects the pods of a component. Never changes: selectors of StatefulSets cannot.
pub fn selector(cluster: &str, component: Component) -> BTreeMap<String, String> {
    let mut labels = cluster_selector(cluster);
    labels.insert(COMPONENT_LABEL.to_owned(), component.as_str().to_owned());
    labels
}

/// The labels of an object of a cluster, of a component if it belongs to one.
pub fn labels_of(cluster: &str, component: Option<Component>) -> BTreeMap<String, String> {
    let mut labels = match component {
        Some(component) => selector(cluster, component),
        None => cluster_selector(cluster),
    };
    labels.insert(MANAGED_LABEL.to_owned(), MANAGER.to_owned());
    labels
}

/// A selector as the API takes it in a query.
pub fn query(labels: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    pairs.join(",")
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

/// The Deployment and the ServiceAccount of masters.
pub fn masters(cluster: &str) -> String {
    format!("{cluster}-master")
}

/// The Service over all masters, ready or not: where workers beat.
pub fn masters_service(cluster: &str) -> String {
    format!("{cluster}-masters")
}

/// The Service that clients use.
pub fn api_service(cluster: &str) -> String {
    format!("{cluster}-api")
}

/// The StatefulSet and the ServiceAccount of workers.
pub fn workers(cluster: &str) -> String {
    format!("{cluster}-worker")
}

/// The Service over all workers, ready or not.
pub fn workers_service(cluster: &str) -> String {
    format!("{cluster}-workers")
}

/// The pod of a worker, and the worker's name for people.
pub fn worker(cluster: &str, ordinal: u32) -> String {
    format!("{}-{ordinal}", workers(cluster))
}

/// The number of a worker, by the name of its pod.
pub fn ordinal(cluster: &str, pod: &str) -> Option<u32> {
    let number = pod.strip_prefix(&workers(cluster))?.strip_prefix('-')?;
    let ordinal = number.parse().ok()?;
    (worker(cluster, ordinal) == pod).then_some(ordinal)
}

/// The template of volume claims.
pub const VOLUME: &str = "data";

/// The claim of a worker.
pub fn claim(cluster: &str, ordinal: u32) -> String {
    format!("{VOLUME}-{}", worker(cluster, ordinal))
}

/// The number of the worker that a claim belongs to.
pub fn ordinal_of_claim(cluster: &str, claim: &str) -> Option<u32> {
    ordinal(cluster, claim.strip_prefix(VOLUME)?.strip_prefix('-')?)
}

/// The Secret that masters and workers share: the identity and the key of the cluster.
pub fn identity_secret(cluster: &str) -> String {
    format!("{cluster}-identity")
}

/// The Secret of masters alone: the root token, and the key of links.
pub fn access_secret(cluster: &str) -> String {
    format!("{cluster}-access")
}

/// The Secret for whoever reads metrics.
pub fn metrics_secret(cluster: &str) -> String {
    format!("{cluster}-metrics")
}

/// Where masters answer, from inside.
pub fn api_url(cluster: &str, namespace: &str) -> String {
    format!(
        "http://{}.{namespace}.svc:{MASTER_PORT}",
        api_service(cluster)
    )
}

/// What has to be typed to have all files of a cluster deleted with it.
pub fn deletion_phrase(cluster: &str) -> String {
    format!("delete all files of {cluster}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_known_by_its_pod_and_its_claim() {
        assert_eq!(ordinal("a", "a-worker-12"), Some(12));
        assert_eq!(ordinal_of_claim("a", &claim("a", 3)), Some(3));
        for other in [
            "a-worker-",
            "a-worker-01",
            "a-worker-x",
            "b-worker-1",
            "a-master-1",
        ] {
            assert_eq!(ordinal("a", other), None, "{other}");
        }
        assert_eq!(ordinal("a", "a-worker-worker-1"), None);
    }

    #[test]
    fn the_longest_name_leaves_room_for_those_made_of_it() {
        let name = "x".repeat(40);
        // Labels have 63 characters at most; a StatefulSet appends a hash of 11 to its own.
        assert!(workers(&name).len() + 11 <= 63);
        assert!(worker(&name, 99).len() <= 63);
        assert!(masters_service(&name).len() <= 63);
    }
}
