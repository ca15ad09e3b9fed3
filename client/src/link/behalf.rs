//! On whose behalf servers call each other: calls carry the id of the client's request along, so that it is
//! found in the logs of all servers that had to do with it.

use http::header::HeaderValue;

tokio::task_local! {
    static REQUEST: HeaderValue;
}

/// The request that calls are made for; none where they are for nobody's.
#[derive(Clone, Debug, Default)]
pub struct Behalf(Option<HeaderValue>);

impl Behalf {
    /// On behalf of the request of this id.
    pub fn of(id: &str) -> Self {
        Self(HeaderValue::from_str(id).ok())
    }

    /// That of whoever calls this.
    pub fn present() -> Self {
        Self(REQUEST.try_with(Clone::clone).ok())
    }

    /// Does `work` on its behalf, with all that it awaits; not what it starts in tasks of their own.
    ///
    /// # Cancel safety
    /// That of `work`.
    pub async fn run<F: Future>(self, work: F) -> F::Output {
        match self.0 {
            Some(id) => REQUEST.scope(id, work).await,
            None => work.await,
        }
    }

    /// The same for what does not wait.
    pub fn run_now<T>(&self, work: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(id) => REQUEST.sync_scope(id.clone(), work),
            None => work(),
        }
    }

    pub(super) fn id(self) -> Option<HeaderValue> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn present() -> Option<HeaderValue> {
        Behalf::present().id()
    }

    #[tokio::test]
    async fn what_is_awaited_knows_on_whose_behalf_it_is() {
        assert_eq!(present(), None);
        let inside = Behalf::of("a-1").run(async {
            tokio::task::yield_now().await;
            (present(), Behalf::of("b").run_now(present))
        });
        let (outer, inner) = inside.await;
        assert_eq!(outer.unwrap(), "a-1");
        assert_eq!(inner.unwrap(), "b");
        assert_eq!(present(), None);
        // What cannot be in a header is nobody's.
        assert_eq!(Behalf::of("a\nb").run(async { present() }).await, None);
    }
}
