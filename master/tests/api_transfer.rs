//! Export and import: what goes out comes in again, and what is not whole is told by its line.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod support;

use mdfs_core::id::ClusterId;
use mdfs_core::records::Key;
use mdfs_core::time::LogTime;
use mdfs_protocol::public::{EXPORT, IMPORT, Imported};
use mdfs_protocol::transfer::{End, Head, Line};
use support::{Answer, Setup};

/// An export with these lines between its first and its last.
fn export(lines: &[String]) -> String {
    let head = Head::new(ClusterId::from_u128(1), 7, LogTime::from_millis(5));
    let head = serde_json::to_string(&head).unwrap();
    let mut text: String = [&head]
        .into_iter()
        .chain(lines)
        .map(|line| format!("{line}\n"))
        .collect();
    let end = End {
        lines: u64::try_from(lines.len()).unwrap() + 1,
        blake3: mdfs_core::checksum::Blake3(*blake3::hash(text.as_bytes()).as_bytes()),
    };
    text.push_str(&serde_json::to_string(&Line::End(end)).unwrap());
    text + "\n"
}

fn file(name: &str, id: u32) -> String {
    format!(
        r#"{{"file":{{"name":"{name}","file_id":"{id:032x}","version":3,"size":5,"chunk_size":1048576,"replicas":2,"by_policy":true,"crc32":"00000007","blake3":"{id:064x}","content_type":"video/mp4","modified":9}}}}"#
    )
}

fn trashed(name: &str, id: u32) -> String {
    let file = file(name, id);
    let file = file.strip_prefix(r#"{"file":"#).unwrap();
    format!(r#"{{"trash":{{"deleted":11,"file":{file}}}"#)
}

async fn import(setup: &Setup, query: &str, text: String) -> Answer {
    setup
        .ask("POST", &format!("{IMPORT}{query}"), "", text.into_bytes())
        .await
}

async fn taken(setup: &Setup, query: &str, text: String) -> (u64, u64, u64, Vec<String>) {
    let answer = import(setup, query, text).await;
    assert_eq!(
        answer.status,
        200,
        "{}",
        String::from_utf8_lossy(&answer.body)
    );
    let Imported {
        files,
        trashed,
        present,
        conflicts,
        conflicting_names,
        ..
    } = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(usize::try_from(conflicts).unwrap(), conflicting_names.len());
    (files, trashed, present, conflicting_names)
}

async fn exported(setup: &Setup) -> String {
    let answer = setup.get(EXPORT, "").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    String::from_utf8(answer.body.to_vec()).unwrap()
}

#[tokio::test]
async fn what_goes_out_comes_in_again_and_once_only() {
    let setup = Setup::new(1).await;
    // More than one batch, and more than one piece.
    let lines: Vec<String> = (0..2000).map(|n| file(&format!("films/{n}"), n)).collect();
    let mut all = vec![trashed("films/1", 5000)];
    all.extend(lines);
    let nobody: Vec<String> = Vec::new();
    assert_eq!(
        taken(&setup, "", export(&all)).await,
        (2000, 1, 0, nobody.clone())
    );
    let out = exported(&setup).await;
    assert_eq!(out.lines().count(), 2001 + 3);
    let other = Setup::new(1).await;
    assert_eq!(
        taken(&other, "", out.clone()).await,
        (2000, 1, 0, nobody.clone())
    );
    assert_eq!(taken(&other, "", out.clone()).await, (0, 0, 2001, nobody));
    // But for the versions, which are of each cluster's own log, and the place in it.
    let without = |text: &str| -> Vec<serde_json::Value> {
        let lines = text
            .lines()
            .skip(1)
            .filter(|line| !line.starts_with(r#"{"end""#));
        lines
            .map(|line| {
                let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
                let pointers = ["/file/version", "/trash/file/version"];
                for pointer in pointers {
                    if let Some(version) = line.pointer_mut(pointer) {
                        *version = 0.into();
                    }
                }
                line
            })
            .collect()
    };
    assert_eq!(without(&exported(&other).await), without(&out));
}

#[tokio::test]
async fn what_cannot_be_read_is_told_by_its_line_and_what_is_before_it_stays() {
    let setup = Setup::new(1).await;
    let good = || export(&[file("a", 1), file("b", 2)]);
    let cut = good()
        .lines()
        .take(3)
        .map(|line| format!("{line}\n"))
        .collect::<String>();
    let swapped = good().replace(r#""name":"b""#, r#""name":"c""#);
    let size = good().replace(r#""size":5"#, r#""size":-1"#);
    let name = export(&[file("a", 1), file("a/../b", 2)]);
    let exception = file("a", 1).replace(
        r#""modified":9"#,
        r#""modified":9,"exceptions":[{"first_chunk":0,"chunks":2,"disks":["00000000000000000000000000000001"]}]"#,
    );
    for (text, line, what) in [
        (String::new(), 1, "nothing"),
        ("{}\n".to_owned(), 1, "missing field"),
        (
            good().replace(r#""format":1"#, r#""format":2"#),
            1,
            "format 1",
        ),
        (cut, 4, "broke off"),
        (swapped, 4, "not what they were"),
        (
            good().replace(r#""lines":3"#, r#""lines":4"#),
            4,
            "should have 4",
        ),
        (good() + "{}\n", 5, "behind the last line"),
        (size, 2, "invalid value"),
        (name, 3, "segment"),
        (export(&[exception]), 2, "exception"),
        (export(&[String::new()]), 2, "EOF"),
        (export(&[r#"{"film":{}}"#.to_owned()]), 2, "unknown variant"),
    ] {
        let answer = import(&setup, "", text).await;
        let problem = answer.problem();
        assert_eq!(
            (answer.status.as_u16(), problem.code.as_str()),
            (400, "invalid_export"),
            "{what}"
        );
        let told = problem.detail;
        assert!(
            told.contains(&format!("line {line}: ")) && told.contains(what),
            "{told}"
        );
    }
    let key = Key::File("a".parse().unwrap()).to_bytes();
    assert!(setup.leader.state().records.get(&key).is_some());
}

#[tokio::test]
async fn another_clusters_records_and_taken_names_need_a_word() {
    let setup = Setup::new(1).await;
    let nobody: Vec<String> = Vec::new();
    let foreign = export(&[file("a", 1)]).replacen(
        "00000000000000000000000000000001",
        "00000000000000000000000000000002",
        1,
    );
    let answer = import(&setup, "", foreign).await;
    assert_eq!(answer.problem().code.as_str(), "conflict");
    assert_eq!(
        taken(&setup, "", export(&[file("a", 1)])).await,
        (1, 0, 0, nobody.clone())
    );
    let other = || export(&[file("a", 2), file("b", 1)]);
    let both = || vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(taken(&setup, "", other()).await, (0, 0, 0, both()));
    let bytes_only = vec!["b".to_owned()];
    assert_eq!(
        taken(&setup, "?overwrite=1", other()).await,
        (1, 0, 0, bytes_only)
    );
}

#[tokio::test]
async fn tokens_go_out_and_come_in_only_when_asked_for() {
    let setup = Setup::new(1).await;
    let token = r#"{"token":{"id":"000000000000000000000000000000aa","sha256":"00000000000000000000000000000000000000000000000000000000000000bb","label":"player","grant":{"roles":["read"],"folder":"films/"},"created":1,"expires":99999999999999}}"#;
    // One that was revoked does not come back because nobody thought of it.
    let answer = import(&setup, "", export(&[token.to_owned()])).await;
    let imported: Imported = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((imported.tokens, imported.present), (0, 0));
    let answer = import(&setup, "?tokens=1", export(&[token.to_owned()])).await;
    let imported: Imported = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((imported.tokens, imported.present), (1, 0));
    let answer = import(&setup, "?tokens=1", export(&[token.to_owned()])).await;
    let imported: Imported = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((imported.tokens, imported.present), (0, 1));
    {
        let mut state = setup.leader.state();
        let (id, record) = state
            .tokens
            .iter()
            .next()
            .map(|(id, record)| (*id, record.clone()))
            .unwrap();
        let put = mdfs_core::records::put(&Key::Token(id), &record).unwrap();
        state.records.apply(&put);
    }
    assert!(!exported(&setup).await.contains("token"));
    let answer = setup.get(&format!("{EXPORT}?tokens=1"), "").await;
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(text.lines().any(|line| line == token), "{text}");
}

#[tokio::test]
async fn a_line_names_no_more_chunks_than_a_file_can_have() {
    let setup = Setup::new(1).await;
    let of = |chunks: u32| {
        let line = file("films/a", 1).replace("\"size\":5", &format!("\"size\":{chunks}"));
        let runs = format!("\"chunks\":[{{\"count\":{chunks},\"length\":1}}],\"replicas\"");
        line.replace("\"replicas\"", &runs)
    };
    let most = mdfs_protocol::transfer::MOST_CHUNKS;
    let answer = import(&setup, "", export(&[of(most + 1)])).await;
    assert_eq!(answer.status, 400);
    let text = String::from_utf8_lossy(&answer.body);
    assert!(text.contains("chunks"), "{text}");
    assert_eq!(taken(&setup, "", export(&[of(most)])).await.0, 1);
}
