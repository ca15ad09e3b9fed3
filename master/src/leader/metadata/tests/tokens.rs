//! Tokens: made, found by every later leader, revoked.

use super::asking::{Asked, done, refused};
use super::world::World;
use crate::error::Error;
use crate::leader::command::Token;
use crate::leader::handle::Question;
use mdfs_core::access::Grant;
use mdfs_core::id::TokenId;
use mdfs_core::records::{TokenHash, TokenRecord};
use mdfs_core::time::LogTime;

fn token(number: u128, created: u64) -> Token {
    Token {
        id: TokenId::from_u128(number),
        record: TokenRecord {
            hash: TokenHash([7; 32]),
            label: format!("token {number}"),
            grant: Grant::all(),
            created: LogTime::from_millis(created),
            expires: LogTime::from_millis(created + 1000),
        },
    }
}

impl World {
    fn add_token(&mut self, token: Token) -> Asked<()> {
        self.ask(|answer| Question::AddToken(Box::new(token), answer))
    }

    fn find_token(&mut self, number: u128) -> Option<TokenRecord> {
        let id = TokenId::from_u128(number);
        done(self.ask(|answer| Question::Token(id, answer))).unwrap()
    }

    fn revoke(&mut self, number: u128) -> Asked<TokenRecord> {
        let id = TokenId::from_u128(number);
        self.ask(|answer| Question::RevokeToken(id, answer))
    }
}

#[test]
fn a_token_is_found_by_every_later_leader_until_it_is_revoked() {
    let mut world = World::founded();
    for (number, created) in [(2, 10), (1, 20)] {
        done(world.add_token(token(number, created))).unwrap();
    }
    world.restart_master();
    world.run(10_000);
    assert_eq!(world.find_token(1), Some(token(1, 20).record));
    assert_eq!(world.find_token(3), None);
    let all = done(world.ask(Question::Tokens)).unwrap();
    assert_eq!(all, [token(2, 10), token(1, 20)]);
    assert_eq!(done(world.revoke(1)).unwrap(), token(1, 20).record);
    assert_eq!(world.find_token(1), None);
    let again = refused(world.revoke(1));
    assert!(matches!(again, Error::TokenNotFound { .. }));
    // They are no files.
    assert!(world.names().is_empty());
}

#[test]
fn a_token_counts_once_it_is_committed() {
    let mut world = World::founded();
    world.cut(&[1, 2, 3]);
    let mut asked = world.add_token(token(1, 10));
    assert!(super::asking::waits(&mut asked));
    world.heal();
    world.run(10_000);
    assert!(world.find_token(1).is_some());
}
