//! Prints the description of the routes, as `docs/openapi.json` has it.

fn main() {
    print!("{}", mdfs_master::http::openapi());
}
