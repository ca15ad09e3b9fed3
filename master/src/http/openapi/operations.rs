//! What each method of each route takes and answers.

use super::operation::{Body, Content, Operation, STORED};
use crate::http::{openapi, original, probes};
use mdfs_protocol::problem::Code::{self, *};
use mdfs_protocol::public::*;
use mdfs_protocol::{ask, feed, internal, local};
use schemars::JsonSchema;
use serde_json::{Value, json};

const ORDERED: &[Code] = &[WorkerNotFound, Conflict, NoQuorum];

/// All of them.
pub(super) fn all() -> Vec<Operation> {
    let mut all = files();
    all.extend(uploads());
    all.extend(cluster());
    all.extend(super::for_browsers::operations());
    all.extend(administration());
    all.extend(super::all_records::operations());
    all.extend(short());
    all.extend(servers());
    all
}

fn files() -> Vec<Operation> {
    let text = || json!({ "type": "string", "maxLength": 1024 });
    let read = |method, path| {
        Operation::new(method, path, "A file's bytes")
            .query(
                "download",
                json!({ "enum": ["", "0", "1", "false", "true"] }),
                "Whether they are to be saved rather than shown.",
            )
            .flag(
                "replicas",
                "Answers `Replicas` instead: where the chunks are.",
            )
            .flag("checksum", "Answers `Checksums` instead.")
            .query(
                "as",
                json!({ "enum": ["vtt"] }),
                "Of subtitles of at most 4 MiB: answers them as WebVTT.",
            )
            .ranges()
    };
    vec![
        read("GET", FILE),
        read("HEAD", FILE),
        Operation::new("PUT", FILE, "Stores a file")
            .query(
                "chunk_size",
                json!({ "type": "integer", "minimum": 1 << 20, "maximum": 1 << 30 }),
                "Bytes of each chunk but the last, a power of two.",
            )
            .query(
                "replicas",
                json!({ "type": "integer", "minimum": 1, "maximum": 7 }),
                "Copies of each chunk.",
            )
            .pattern(BLAKE3_HEADER, "^[0-9a-f]{64}$", "BLAKE3 of the bytes.")
            .header(
                SOURCE_MODIFIED_HEADER,
                "When the source was changed, in milliseconds.",
            )
            .conditions()
            .repeatable()
            .takes_bytes()
            .fails(&[LengthRequired])
            .json::<FileInfo>(
                201,
                "It is stored. `x-mdfs-attribute-…` headers became its attributes.",
            )
            .json::<FileInfo>(202, FEWER),
        Operation::new("DELETE", FILE, "Deletes a file")
            .flag("purge", "For good, rather than into the trash.")
            .conditions()
            .repeatable()
            .empty(204, "It is gone.")
            .fails(&[FileNotFound, PreconditionFailed, Conflict]),
        Operation::new("POST", FILE, "Does what the query says with a file")
            .flag(
                "undelete",
                "Brings it back from the trash: answers `FileInfo`.",
            )
            .flag(
                "attributes",
                "Changes what is said of it, as the body says: answers `FileInfo`.",
            )
            .flag(
                "verify",
                "Has all its copies read: answers `Verified`, or with `Accept: application/x-ndjson` a \
                 `VerifyLine` for each copy and at the end.",
            )
            .conditions()
            .takes_if_asked::<SetAttributes>()
            .repeatable()
            .json::<Acted>(200, "It is done.")
            .fails(&[FileNotFound, PreconditionFailed, Conflict, Unavailable]),
        read("GET", PLAY),
        read("HEAD", PLAY),
        Operation::new("GET", FILES, "One page of names, sorted by their bytes")
            .query("prefix", text(), "What the names begin with.")
            .query(
                "delimiter",
                json!({ "type": "string", "maxLength": 1 }),
                "Names that go on after it are one folder.",
            )
            .query("search", text(), "What stands behind the prefix has this in it, in any case.")
            .query(
                "sort",
                json!({ "enum": ["name", "-name", "size", "-size", "modified", "-modified"] }),
                "What comes first; with `-` the largest. Folders come before files.",
            )
            .flag("copies", "Says of each file how many good copies are known.")
            .query("after", text(), "The `next` of the page before.")
            .pages()
            .json::<Listing>(200, "A page."),
        Operation::new("GET", TRASH, "One page of the trash, the oldest first")
            .query(
                "after",
                json!({ "type": "string" }),
                "The `next` of the page before.",
            )
            .pages()
            .json::<Trash>(200, "A page."),
        Operation::new("POST", RENAME, "Moves a file to another name")
            .repeatable()
            .takes::<Rename>()
            .json::<FileInfo>(200, "It is moved.")
            .fails(&[FileNotFound, Conflict, PreconditionFailed]),
        Operation::new("POST", SIGN, "Signs a link to one file")
            .takes::<SignRequest>()
            .json::<SignedLink>(200, "The link."),
    ]
}

/// What `202` says of a file.
const FEWER: &str = "It is stored with fewer copies than wanted, as the policy lets suffice while no more \
                     can be made: `durability` says how many.";

/// What came of what was done with a file.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum Acted {
    Undeleted(FileInfo),
    Verified(Verified),
}

/// What came of a form.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum Uploaded {
    One(FileInfo),
    Several(FormFiles),
}

fn uploads() -> Vec<Operation> {
    let id = || json!({ "type": "string", "pattern": "^[0-9a-f]{32}$" });
    vec![
        Operation::new("GET", UPLOADS, "One page of open uploads, sorted by id")
            .query("after", id(), "The `next` of the page before.")
            .pages()
            .json::<Uploads>(200, "A page."),
        Operation::new("POST", UPLOADS, "Opens an upload")
            .header("if-match", "Must hold now and at the commit.")
            .header("if-none-match", "Must hold now and at the commit.")
            .repeatable()
            .takes::<BeginUpload>()
            .json::<UploadInfo>(201, "It is open.")
            .fails(&[
                TooManyUploads,
                TooFewWorkers,
                PreconditionFailed,
                Conflict,
                UploadEnded,
                UploadNotFound,
            ]),
        Operation::new("GET", UPLOAD, "What is known of an upload")
            .json::<UploadInfo>(200, "That.")
            .fails(&[UploadNotFound]),
        Operation::new("DELETE", UPLOAD, "Ends an upload without a file")
            .json::<UploadInfo>(200, "How it ended.")
            .fails(&[UploadNotFound, NoQuorum]),
        Operation::new("PUT", UPLOAD_CHUNK, "Stores a chunk")
            .takes_bytes()
            .json::<StoredChunk>(200, "All its copies are durable.")
            .fails(&[UploadNotFound, NoQuorum]),
        Operation::new("POST", UPLOAD_COMMIT, "Makes an upload a file")
            .takes::<CommitUpload>()
            .json::<FileInfo>(201, "It is one.")
            .json::<FileInfo>(202, FEWER)
            .fails(&[UploadNotFound, MissingChunks, NoQuorum])
            .fails(STORED),
    ]
}

fn cluster() -> Vec<Operation> {
    let probe = |method, path, summary| {
        let probe = Operation::new(method, path, summary);
        probe
            .answer(200, "`OK`.", Content::Text, &[])
            .fails(&[Busy])
    };
    vec![
        Operation::new("GET", STATUS, "The state of the cluster").json::<Status>(200, "The state."),
        Operation::new("GET", WORKERS, "The members of the cluster")
            .json::<Workers>(200, "The members."),
        Operation::new("GET", TASKS, "What goes on in the background")
            .json::<Tasks>(200, "The tasks."),
        Operation::new("GET", openapi::PATH, "This description")
            .json::<serde_json::Map<String, Value>>(200, "OpenAPI 3.1."),
        probe("GET", HEALTH, "Whether the process lives"),
        probe("HEAD", HEALTH, "Whether the process lives"),
        probe("GET", HEALTH_LIVE, "Whether the process lives"),
        probe("HEAD", HEALTH_LIVE, "Whether the process lives"),
        probe("GET", HEALTH_READY, "Whether it takes requests"),
        probe("HEAD", HEALTH_READY, "Whether it takes requests"),
        Operation::new("GET", STATS, "Counters").json::<probes::Stats>(200, "Counters."),
        Operation::new("GET", METRICS, "Counters for Prometheus").answer(
            200,
            "Counters.",
            Content::Text,
            &[],
        ),
    ]
}

fn administration() -> Vec<Operation> {
    let order = |path, summary| {
        Operation::new("POST", path, summary)
            .takes::<WorkerOrder>()
            .empty(202, "It has begun.")
            .fails(ORDERED)
    };
    vec![
        Operation::new("POST", BOOTSTRAP, "Starts the cluster, once")
            .takes::<Bootstrap>()
            .json::<Bootstrapped>(200, "It is started.")
            .fails(&[Conflict, ForeignDisk, NoQuorum, Unavailable, TooFewWorkers]),
        order(DRAIN, "Moves everything off a worker"),
        order(UNDRAIN, "Lets a drained worker take part again"),
        order(
            DECOMMISSION,
            "Moves everything off a worker, then retires its disk",
        ),
        Operation::new("POST", RETIRE, "Refuses a disk for ever")
            .takes::<Retire>()
            .empty(204, "It is refused.")
            .fails(ORDERED)
            .fails(&[WouldLoseFiles]),
        Operation::new("POST", VOTERS, "Has so many disks vote")
            .takes::<Voters>()
            .empty(202, "It has begun.")
            .fails(ORDERED),
        Operation::new("POST", FORGET_VOTER, "Gives up a lost voter of a pair")
            .takes::<ForgetVoter>()
            .empty(204, "The other one goes on alone.")
            .fails(ORDERED),
        Operation::new(
            "POST",
            ANNOUNCE,
            "Announces that a worker is going to be silent",
        )
        .takes::<Announce>()
        .empty(204, "It is announced.")
        .fails(ORDERED),
        Operation::new("POST", REBALANCE, "Evens out the bytes on the workers")
            .empty(202, "It has begun.")
            .fails(ORDERED),
        Operation::new("POST", REPAIR, "Repairs without the usual delay")
            .empty(202, "It has begun.")
            .fails(ORDERED),
        Operation::new("GET", SCRUB, "How far scrubs are").json::<Scrubs>(200, "That."),
        Operation::new("POST", SCRUB, "Has every worker read all it holds")
            .json::<Scrubs>(200, "It has begun."),
        Operation::new("GET", POLICY, "The policy of the cluster")
            .json::<Policy>(200, "The policy."),
        Operation::new("POST", POLICY, "Changes the policy of the cluster")
            .takes::<PolicyChange>()
            .json::<Policy>(200, "The policy as it is now.")
            .fails(&[Conflict, TooFewWorkers, NoQuorum]),
        Operation::new("GET", TOKENS, "All tokens, without their secrets")
            .json::<Tokens>(200, "The tokens."),
        Operation::new("POST", TOKENS, "Makes a token")
            .takes::<NewToken>()
            .json::<CreatedToken>(201, "The token, with its secret.")
            .fails(&[Conflict, NoQuorum]),
        Operation::new("DELETE", TOKEN, "Ends a token")
            .empty(204, "It has ended.")
            .fails(&[TokenNotFound, NoQuorum]),
    ]
}

fn short() -> Vec<Operation> {
    let read = |method, path, summary| {
        Operation::new(method, path, summary)
            .name_in_query()
            .ranges()
    };
    let delete = |method| {
        Operation::new(method, original::DELETE, "Deletes a file")
            .name_in_query()
            .flag("purge", "For good, rather than into the trash.")
            .conditions()
            .repeatable()
            .empty(204, "It is gone.")
            .fails(&[FileNotFound, PreconditionFailed, Conflict])
    };
    let mut upload = Operation::new("POST", original::UPLOAD, "Stores the files of a form")
        .conditions()
        .json::<Uploaded>(
            201,
            "All are stored: `FileInfo` of the only one, or `FormFiles`.",
        )
        .json::<FileInfo>(202, FEWER)
        .json::<FormFiles>(
            207,
            "Some are stored and some are not, or the form ended early.",
        )
        .fails(STORED)
        .fails(&[NoQuorum]);
    upload.body = Some(Body::Form);
    vec![
        upload,
        read("GET", original::DOWNLOAD, "A file's bytes, to be saved"),
        read("HEAD", original::DOWNLOAD, "A file's bytes, to be saved"),
        read("GET", original::PLAY, "A file's bytes, to be shown"),
        read("HEAD", original::PLAY, "A file's bytes, to be shown"),
        Operation::new("GET", original::CHECKSUM, "What a file's bytes hash to")
            .name_in_query()
            .json::<Checksums>(200, "The checksums.")
            .fails(&[FileNotFound]),
        Operation::new("GET", original::VERIFY, "Has all copies of a file read")
            .name_in_query()
            .json::<Verified>(200, "What was found.")
            .fails(&[FileNotFound]),
        delete("POST"),
        delete("DELETE"),
    ]
}

fn servers() -> Vec<Operation> {
    let mut beat = Operation::new("POST", internal::HEARTBEAT, "A heartbeat, in postcard")
        .answer(200, "Orders, in postcard.", Content::Compact, &[])
        .fails(&[TooLarge, IncompleteBody, ForeignDisk, Fenced, NoQuorum]);
    beat.body = Some(Body::Bytes);
    let mut asked = Operation::new("POST", ask::ASK, "A question of a master, in postcard")
        .answer(200, "Its answer, in postcard.", Content::Compact, &[])
        .fails(&[TooLarge, IncompleteBody]);
    asked.body = Some(Body::Bytes);
    let mut fed = Operation::new("POST", feed::FEED, "What was committed, in postcard")
        .answer(200, "A page of it, in postcard.", Content::Compact, &[])
        .fails(&[TooLarge, IncompleteBody]);
    fed.body = Some(Body::Bytes);
    let beats = Operation::new(
        "GET",
        internal::HEARTBEAT,
        "Leaves HTTP for heartbeats alone",
    )
    .header("upgrade", "`mdfs-beats`.")
    .empty(
        101,
        "Heartbeats follow, each in postcard behind its length.",
    );
    vec![
        beat,
        beats,
        asked,
        fed,
        Operation::new("GET", internal::MASTERS, "Which masters there are")
            .json::<internal::Masters>(200, "Where they are, this one first."),
        Operation::new("POST", local::LOOK_UP, "What a name stands for")
            .takes::<local::LookUp>()
            .json::<local::LookedUp>(200, "That.")
            .fails(&[
                FileNotFound,
                InvalidName,
                Forbidden,
                TooManyFailures,
                NotBootstrapped,
            ]),
    ]
}
