//! A client of the name service that makes every request there is. What it prints is the same however
//! often the service is restarted meanwhile.

use ant_abi::Error;
use ant_api_name::Name;
use ant_rt::ipc::{self, Received, Timeout};
use ant_rt::println;

/// How long what was raised may take to arrive.
const AT_ONCE: Timeout = Timeout::ms(1_000);

/// Registers two names, one twice, and sees that they lead to itself; looks up what there is not; lists
/// all.
pub fn all_requests(first: &str, second: &str) -> Result<bool, Error> {
    let own = ipc::open_endpoint()?;
    let names = [Name::new(first)?, Name::new(second)?, Name::new(first)?];
    names.into_iter().try_for_each(|name| ant_api_name::register(name, own))?;
    let mut good = true;
    for name in names {
        let found = ant_api_name::lookup(name)?;
        ipc::notify(found, 1)?;
        ipc::close(found)?;
        let arrived = matches!(ipc::receive(AT_ONCE)?, Received::Notification(1));
        good &= println!("{}: leads here: {arrived}", name.as_str());
    }
    let nobody = ant_api_name::lookup(Name::new("nobody")?).map(drop);
    good &= println!("nobody: {nobody:?}");
    for name in ant_api_name::all() {
        good &= println!("there is {}", name?.as_str());
    }
    Ok(good)
}
