//! Names, page by page or one by one.

use crate::answer::document;
use crate::client::Client;
use crate::error::Error;
use futures_util::stream::{self, BoxStream, StreamExt};
use mdfs_protocol::public::{self, FileInfo, Listing};

/// What to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// Only names that start with this.
    pub prefix: String,
    /// Names that go on after this character behind the prefix are gathered into folders.
    pub delimiter: Option<char>,
    /// Only names behind this one.
    pub after: Option<String>,
    /// Files and folders on a page, 1 to 1000; the server's choice if none.
    pub limit: Option<usize>,
}

impl Client {
    /// One page of names, in the order of their bytes. `next` of the page goes into `after`.
    ///
    /// # Errors
    /// [`Error`].
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn list(&self, options: &ListOptions) -> Result<Listing, Error> {
        let mut query = Vec::new();
        if !options.prefix.is_empty() {
            query.push(("prefix", options.prefix.clone()));
        }
        query.extend(
            options
                .delimiter
                .map(|character| ("delimiter", character.to_string())),
        );
        query.extend(options.after.clone().map(|after| ("after", after)));
        query.extend(options.limit.map(|limit| ("limit", limit.to_string())));
        let response = self.repeat(public::FILES, |client, url| {
            client
                .http
                .get(format!("{url}{}", public::FILES))
                .query(&query)
        });
        document(public::FILES, response.await?).await
    }

    /// All pages, one at a time.
    pub fn pages(&self, options: ListOptions) -> Pager {
        Pager {
            client: self.clone(),
            options: Some(options),
        }
    }

    /// All files whose names start with `prefix`, in the order of their names, however many there are:
    /// pages are asked for as they are needed. Files that come or go meanwhile may be in it or not; all
    /// others are in it once. It ends after an error.
    ///
    /// ```no_run
    /// # async fn example(client: &mdfs_client::Client) -> Result<(), mdfs_client::Error> {
    /// use futures_util::TryStreamExt;
    ///
    /// let mut files = client.files("films/");
    /// while let Some(file) = files.try_next().await? {
    ///     println!("{} {}", file.size, file.name);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn files(&self, prefix: impl Into<String>) -> BoxStream<'static, Result<FileInfo, Error>> {
        let options = ListOptions {
            prefix: prefix.into(),
            ..ListOptions::default()
        };
        let start = (self.pages(options), Vec::new().into_iter());
        stream::try_unfold(start, |(mut pages, mut files)| async move {
            loop {
                if let Some(file) = files.next() {
                    return Ok(Some((file, (pages, files))));
                }
                match pages.next().await? {
                    Some(page) => files = page.files.into_iter(),
                    None => return Ok(None),
                }
            }
        })
        .boxed()
    }
}

/// The pages of a listing.
#[derive(Debug)]
pub struct Pager {
    client: Client,
    options: Option<ListOptions>,
}

impl Pager {
    /// The next page; none after the last one.
    ///
    /// # Errors
    /// [`Error`]; the same page can be asked for again.
    ///
    /// # Cancel safety
    /// A page whose future is dropped is asked for again by the next call.
    pub async fn next(&mut self) -> Result<Option<Listing>, Error> {
        let Some(options) = &self.options else {
            return Ok(None);
        };
        let page = self.client.list(options).await?;
        let options = self.options.take();
        self.options = page.next.clone().and_then(|after| {
            options.map(|options| ListOptions {
                after: Some(after),
                ..options
            })
        });
        Ok(Some(page))
    }
}
