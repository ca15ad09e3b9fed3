use super::*;
use crate::controller::test_support::{SPEC, cluster, with_workers};
use crate::controller::validate::validate;

fn circumstances() -> Circumstances {
    Circumstances {
        worker_replicas: 3,
        template_size: "1Gi".to_owned(),
        master_image: "localhost/mdfs:0.1.0".to_owned(),
        max_unavailable: 1,
        service_monitors: true,
    }
}

fn find<'a>(desired: &'a Desired, kind: Kind, name: &str) -> &'a Value {
    let found = desired
        .objects
        .iter()
        .find(|it| it.kind == kind && it.name == name);
    &found
        .unwrap_or_else(|| panic!("no {} {name}", kind.as_str()))
        .object
}

fn built(spec: &str) -> Desired {
    build(&validate(&cluster(spec)).unwrap(), &circumstances())
}

/// All objects of the sample, as they were when somebody last looked at them.
#[test]
fn the_objects_of_the_sample_are_as_they_were() {
    let desired = built(&format!(
        "{SPEC}  monitoring: {{serviceMonitor: {{enabled: true}}}}\n"
    ));
    let mut text = String::new();
    for prepared in &desired.objects {
        let _ = write!(
            text,
            "---\n{}",
            serde_yaml::to_string(&prepared.object).unwrap()
        );
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots/sample.yaml");
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    if there != text {
        let new = path.with_extension("yaml.new");
        std::fs::write(&new, &text).unwrap();
        panic!(
            "look at {} and move it over {}",
            new.display(),
            path.display()
        );
    }
}

#[test]
fn everything_is_owned_by_the_resource_and_labelled() {
    for Prepared { kind, name, object } in built(SPEC).objects {
        let kind = kind.as_str();
        assert_eq!(
            object["metadata"]["ownerReferences"][0]["uid"], "u-1",
            "{kind} {name}"
        );
        let label = &object["metadata"]["labels"][names::INSTANCE_LABEL];
        assert_eq!(label, "films", "{kind} {name}");
        assert!(!object["metadata"]["annotations"][APPLIED_ANNOTATION].is_null());
    }
}

#[test]
fn pods_meet_the_restricted_level_and_have_no_way_to_the_api() {
    let desired = built(SPEC);
    let deployment = find(&desired, Kind::Deployment, "films-master");
    let set = find(&desired, Kind::StatefulSet, "films-worker");
    for object in [deployment, set] {
        let pod = &object["spec"]["template"]["spec"];
        assert_eq!(pod["automountServiceAccountToken"], false);
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["runAsUser"], 65532);
        assert_eq!(
            pod["securityContext"]["seccompProfile"]["type"],
            "RuntimeDefault"
        );
        let container = &pod["containers"][0]["securityContext"];
        assert_eq!(container["readOnlyRootFilesystem"], true);
        assert_eq!(container["allowPrivilegeEscalation"], false);
        assert_eq!(container["capabilities"]["drop"][0], "ALL");
    }
}

#[test]
fn what_a_pod_is_made_of_says_nothing_of_volumes_or_of_how_many_there_are() {
    let three = with_workers(3);
    let mut larger = with_workers(5);
    larger.storage.size = "9Gi".to_owned();
    larger.storage.size_bytes = 9 << 30;
    larger.masters.replicas = 4;
    larger.policy.factor = 3;
    assert_eq!(worker_template(&three), worker_template(&larger));
    let mut other = with_workers(3);
    other.image = "localhost/mdfs:0.2.0".to_owned();
    assert_ne!(worker_template(&three), worker_template(&other));
}

#[test]
fn a_worker_is_told_no_secret_but_the_key_of_the_cluster() {
    let desired = built(SPEC);
    let set = find(&desired, Kind::StatefulSet, "films-worker").to_string();
    assert!(
        set.contains("films-identity") && !set.contains("films-access"),
        "{set}"
    );
}

#[test]
fn masters_are_told_of_the_console_what_the_spec_says() {
    let told = |spec: &str| {
        let desired = built(&format!("{SPEC}{spec}"));
        find(&desired, Kind::Deployment, "films-master").to_string()
    };
    let usual = told("");
    assert!(!usual.contains("--console") && !usual.contains("--grafana-url"));
    assert_eq!(told("  console: {enabled: true}\n"), usual);
    let off = told("  console: {enabled: false}\n");
    assert!(off.contains("--console=false"), "{off}");
    let linked = told("  console: {grafanaUrl: https://grafana.example/d/mdfs}\n");
    assert!(linked.contains("--grafana-url=https://grafana.example/d/mdfs"));
    assert!(!linked.contains("--console"));
}

#[test]
fn what_is_switched_off_is_not_there() {
    let desired = built(&format!("{SPEC}  networkPolicy: {{enabled: false}}\n"));
    let has = |kind: Kind| desired.objects.iter().any(|it| it.kind == kind);
    assert!(!has(Kind::NetworkPolicy) && !has(Kind::ServiceMonitor));
    let wanted = validate(&cluster(&format!(
        "{SPEC}  monitoring: {{serviceMonitor: {{enabled: true}}}}\n"
    )));
    let monitored = build(wanted.as_ref().unwrap(), &circumstances());
    let monitor = find(&monitored, Kind::ServiceMonitor, "films").to_string();
    let label = r#""replacement":"films","targetLabel":"mdfs_cluster""#;
    assert!(monitor.contains(label), "{monitor}");
    let without = Circumstances {
        service_monitors: false,
        ..circumstances()
    };
    let desired = build(&wanted.unwrap(), &without);
    assert!(
        !desired
            .objects
            .iter()
            .any(|it| it.kind == Kind::ServiceMonitor)
    );
}

#[test]
fn secrets_are_long_enough_and_belong_to_nobody() {
    let identity = Identity::new(&[7; 48]);
    assert_eq!(
        (identity.cluster_id.len(), identity.cluster_key.len()),
        (32, 64)
    );
    let secret = identity.secret("films", "media");
    assert!(secret["metadata"]["ownerReferences"].is_null());
    let access = Access::new(&[7; 64]);
    assert_eq!((access.root_token.len(), access.link_key.len()), (64, 64));
}
