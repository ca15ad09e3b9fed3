use super::*;
use crate::labels::Attributes;

fn attributes(pairs: &[(&str, &str)]) -> Attributes {
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Attributes::new(pairs.iter().map(pair).collect()).unwrap()
}

impl World {
    fn label(
        &mut self,
        request: Option<RequestId>,
        change: LabelChange,
        precondition: &Precondition,
    ) -> Result<FileRecord, Refusal> {
        let planned = plan_labels(self, request, &name("a"), change, precondition, self.at())?;
        Ok(self.apply(planned).record)
    }
}

#[test]
fn what_is_said_of_a_file_changes_and_its_bytes_stay() {
    let mut world = World::new();
    let always = Precondition::default();
    let missing = world.label(None, LabelChange::default(), &always);
    assert_eq!(missing, Err(Refusal::FileNotFound(name("a"))));
    world.store(1, "a");
    let before = world.file("a").unwrap();
    let change = LabelChange {
        content_type: None,
        attributes: Some(attributes(&[("title", "Größe")])),
    };
    let after = world.label(request(1), change.clone(), &always).unwrap();
    assert_eq!(world.file("a").as_ref(), Some(&after));
    assert_eq!(after.labels.attributes, attributes(&[("title", "Größe")]));
    assert!(after.version > before.version);
    let as_before = FileRecord {
        version: before.version,
        labels: before.labels.clone(),
        ..after.clone()
    };
    assert_eq!(as_before, before);

    // Repeated, and with nothing to change, it writes nothing.
    assert_eq!(
        world.label(request(1), change.clone(), &always),
        Ok(after.clone())
    );
    assert_eq!(
        world.label(None, change.clone(), &always),
        Ok(after.clone())
    );
    assert_eq!(
        world.label(request(2), change.clone(), &always),
        Ok(after.clone())
    );
    let other = LabelChange {
        content_type: Some("video/mp4".to_owned()),
        attributes: None,
    };
    let typed = world.label(None, other.clone(), &always).unwrap();
    assert_eq!(typed.content_type, "video/mp4");
    assert_eq!(typed.labels, after.labels);
    assert!(world.trash().is_empty());

    // What had nothing to change was done, and is not done once more.
    let none = LabelChange {
        content_type: None,
        attributes: Some(attributes(&[])),
    };
    let bare = world.label(None, none, &always).unwrap();
    assert_eq!(world.label(request(2), change, &always), Ok(after));
    assert_eq!(world.file("a"), Some(bare));

    let never = Precondition {
        if_none_match: Some(EtagMatch::Any),
        ..Precondition::default()
    };
    let refused = world.label(None, other, &never);
    assert!(
        matches!(refused, Err(Refusal::PreconditionFailed { .. })),
        "{refused:?}"
    );
}
