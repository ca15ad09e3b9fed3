//! What goes through all records at once: export, import and recovery.

use super::operation::{Body, Content, Operation};
use mdfs_protocol::problem::Code::*;
use mdfs_protocol::public::*;
use mdfs_protocol::{recovery, transfer as records};

/// All of it.
pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new("GET", EXPORT, "All records, one JSON object a line")
            .flag(
                "tokens",
                "With the access tokens, of which it has no secrets.",
            )
            .answer(200, "The records.", Content::Lines, &[])
            .fails(&[Busy]),
        import(),
        Operation::new(
            "POST",
            RECOVER,
            "Rebuilds the log without voters that are lost for ever",
        )
        .takes::<Recover>()
        .json::<Recovered>(200, "It is done, or would be.")
        .fails(&[Conflict, NoQuorum, NotBootstrapped]),
        Operation::new(
            "POST",
            RECOVER_SCAN,
            "Looks for what is left of files on all disks, during a recovery",
        )
        .answer(200, "What was found, as it is found.", Content::Lines, &[])
        .fails(&[Conflict, Busy]),
        Operation::new(
            "POST",
            RECOVER_FINISH,
            "Ends the recovery: what no record has is dropped from then on",
        )
        .flag(
            UNSEARCHED,
            "What only a search would bring back is given up.",
        )
        .empty(204, "It is ended.")
        .fails(&[NotSearched, NoQuorum]),
        Operation::new("GET", records::PASSED, "An export, to be passed on")
            .flag("tokens", "With the access tokens.")
            .answer(200, "The records.", Content::Lines, &[])
            .fails(&[Busy]),
        Operation::new("GET", records::IDS, "The ids of all files")
            .answer(200, "16 bytes for each.", Content::Compact, &[])
            .fails(&[Busy]),
        Operation::new(
            "GET",
            recovery::PASSED,
            "What is left of files on all disks, to be passed on",
        )
        .answer(200, "What was found.", Content::Lines, &[])
        .fails(&[Conflict, Busy]),
    ]
}

fn import() -> Operation {
    let mut import = Operation::new("POST", IMPORT, "Takes in what is missing of an export")
        .flag(
            "overwrite",
            "Files whose names other files have take their place; those go to the trash.",
        )
        .flag("policy", "The policy of the export holds from now on.")
        .flag("other_cluster", "It may be of another cluster.")
        .flag(
            "tokens",
            "With its access tokens, those too that were ended here since.",
        )
        .json::<Imported>(200, "It is taken in.")
        .fails(&[
            InvalidExport,
            IncompleteBody,
            Conflict,
            TooFewWorkers,
            NoQuorum,
            Busy,
        ]);
    import.body = Some(Body::Lines);
    import
}
