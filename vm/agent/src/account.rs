//! A user's entry in /etc/passwd.

use std::io;

/// What a command needs to know about the user who runs it.
pub struct Account {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub home: String,
}

/// Finds the user `name`.
pub fn find(name: &str) -> io::Result<Account> {
    let passwd = std::fs::read_to_string("/etc/passwd")?;
    passwd
        .lines()
        .find_map(|line| parse(line).filter(|account| account.name == name))
        .ok_or_else(|| io::Error::other(format!("no user {name}")))
}

fn parse(line: &str) -> Option<Account> {
    let mut fields = line.split(':');
    let name = fields.next()?.to_owned();
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    let home = fields.nth(1)?.to_owned();
    Some(Account { name, uid, gid, home })
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_line_is_understood() {
        let account = super::parse("user:x:1000:1001:A User:/home/user:/bin/sh").unwrap();
        assert_eq!(account.name, "user");
        assert_eq!((account.uid, account.gid), (1000, 1001));
        assert_eq!(account.home, "/home/user");
    }
}
