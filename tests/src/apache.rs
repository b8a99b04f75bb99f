//! Apache with `mod_wsgi`, from Debian's packages.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

/// The program.
pub const PROGRAM: &str = "/usr/sbin/apache2";

/// Writes its configuration into a folder: what it needs, and what it serves. Its log is its standard error; it serves as
/// another user, who may not look into our folders, so this one is opened to all.
pub fn configure(folder: &Path, serves: &str) {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let path = folder.display();
    let module = |name: &str| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n");
    let modules: String = ["mpm_event", "authz_core", "wsgi"].into_iter().map(module).collect();
    let configuration = format!(
        "ServerRoot {path}\nServerName localhost\nPidFile {path}/pid\nErrorLog /dev/stderr\nUser nobody\n\
         Group nogroup\n{modules}WSGISocketPrefix {path}/wsgi\n{serves}"
    );
    fs::write(folder.join("apache.conf"), configuration).expect("there is room for a file");
}
