//! Access tokens: looked up, listed, made, revoked.

use super::super::catalog::prefix;
use super::super::command::Token;
use super::super::handle::Answer;
use super::{Effect, Metadata, Now, news, respond};
use crate::error::Error;
use mdfs_core::id::TokenId;
use mdfs_core::records::plan::{Planned, Refusal, plan_revoke, plan_token};
use mdfs_core::records::{Corrupt, Key, Kind, TokenRecord, decode, get};
use mdfs_core::time::Timestamp;

impl Metadata {
    pub(super) fn token(
        &mut self,
        now: Now,
        deadline: Timestamp,
        token: TokenId,
        answer: Answer<Option<TokenRecord>>,
    ) {
        let read = move |metadata: Result<&Metadata, Error>, _| {
            let record = metadata.and_then(|metadata| {
                let table = metadata.log.committed().ok_or(Error::NoLeader)?;
                Ok(get(table, &Key::Token(token)).map_err(Refusal::from)?)
            });
            respond(answer, record);
        };
        self.read(now, deadline, Box::new(read));
    }

    pub(super) fn tokens(&mut self, now: Now, deadline: Timestamp, answer: Answer<Vec<Token>>) {
        let read = move |metadata: Result<&Metadata, Error>, _| {
            let tokens = metadata.and_then(|metadata| {
                let table = metadata.log.committed().ok_or(Error::NoLeader)?;
                let mut tokens = read_all(table.range(&prefix(Kind::Token), None))?;
                tokens.sort_by_key(|token| (token.record.created, token.id));
                Ok(tokens)
            });
            respond(answer, tokens);
        };
        self.read(now, deadline, Box::new(read));
    }

    pub(super) fn add_token(
        &mut self,
        now: Now,
        deadline: Timestamp,
        token: Token,
        answer: Answer<()>,
    ) {
        let made = news::of_token(&token.record.label, "made");
        let then = vec![Effect::Tell(Box::new(made))];
        let planned = self.view().and_then(|view| {
            let present = read_all(view.range(&prefix(Kind::Token), None))?;
            let present = present.iter().map(|other| (other.id, &other.record));
            Ok(plan_token(token.id, &token.record, present)?)
        });
        self.carry_out(now, deadline, None, planned, answer, then, |()| ());
    }

    pub(super) fn revoke_token(
        &mut self,
        now: Now,
        deadline: Timestamp,
        token: TokenId,
        answer: Answer<TokenRecord>,
    ) {
        let planned = self
            .view()
            .and_then(|view| -> Result<Planned<TokenRecord>, Error> {
                Ok(plan_revoke(&view, token)?)
            });
        let ended = planned.as_ref().ok();
        let ended = ended.map(|planned| news::of_token(&planned.answer.label, "ended"));
        let then = ended.map(|event| Effect::Tell(Box::new(event)));
        let then = then.into_iter().collect();
        self.carry_out(now, deadline, None, planned, answer, then, |record| record);
    }
}

fn read_all<'a>(
    records: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> Result<Vec<Token>, Refusal> {
    let tokens = records.map(|(key, value)| match Key::from_bytes(key)? {
        Key::Token(id) => Ok(Token {
            id,
            record: decode(value)?,
        }),
        other => Err(Corrupt::Key(other.to_bytes())),
    });
    Ok(tokens.collect::<Result<_, Corrupt>>()?)
}
