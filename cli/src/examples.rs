//! The examples at the end of each command's help. A test reads each as the program would.

pub(crate) const DEV: &str = "\
Examples:
  mdfs dev
  mdfs dev --workers 4 --processes --data /srv/mdfs-data
  mdfs dev --masters 2 --processes";
pub(crate) const PUT: &str = "\
Examples:
  mdfs put film.mkv films/
  mdfs put film.mkv films/other-name.mkv --replicas 3
  ffmpeg -i in.mov -f matroska - | mdfs put - films/in.mkv
  mdfs put -r Films films --dry-run
  mdfs put -r Films films -j 8";
pub(crate) const GET: &str = "\
Examples:
  mdfs get films/film.mkv
  mdfs get films/film.mkv /media/
  mdfs get films/film.mkv - | mpv -
  mdfs get -r films /media/films";
pub(crate) const CAT: &str = "\
Examples:
  mdfs cat films/film.srt
  mdfs cat films/film.mkv --offset 1048576 --length 4096 | xxd";
pub(crate) const LS: &str = "\
Examples:
  mdfs ls films/
  mdfs ls -r -o name
  mdfs ls --trash";
pub(crate) const STAT: &str = "\
Examples:
  mdfs stat films/film.mkv
  mdfs stat films/film.mkv -o json";
pub(crate) const MV: &str = "\
Examples:
  mdfs mv films/film.mkv films/better-name.mkv
  mdfs mv films/film.mkv archive/ --force";
pub(crate) const RM: &str = "\
Examples:
  mdfs rm films/film.mkv
  mdfs rm films/film.mkv films/film.srt --yes
  mdfs rm films/film.mkv --purge";
pub(crate) const UNDELETE: &str = "\
Examples:
  mdfs undelete films/film.mkv";
pub(crate) const VERIFY: &str = "\
Examples:
  mdfs verify films/film.mkv
  mdfs verify films/film.mkv films/film.srt -o json";
pub(crate) const UPLOADS: &str = "\
Examples:
  mdfs uploads
  mdfs uploads abort 0123456789abcdef0123456789abcdef";
pub(crate) const SIGN: &str = "\
Examples:
  mdfs sign films/film.mkv
  mdfs sign films/film.mkv --expires 1h --download
  curl -T film.mkv \"$(mdfs sign films/film.mkv --put)\"";
pub(crate) const TOKEN: &str = "\
Examples:
  mdfs token create player --role read --prefix films --out player.token
  mdfs token ls
  mdfs token revoke 0123456789abcdef0123456789abcdef";
pub(crate) const STATUS: &str = "\
Examples:
  mdfs status
  until mdfs status -o name; do sleep 5; done";
pub(crate) const HEALTH: &str = "\
Examples:
  mdfs health --url http://127.0.0.1:8081";
pub(crate) const WORKERS: &str = "\
Examples:
  mdfs workers
  mdfs workers -o json";
pub(crate) const TASKS: &str = "\
Examples:
  mdfs tasks
  mdfs tasks -o json";
pub(crate) const DRAIN: &str = "\
Examples:
  mdfs drain worker-2
  mdfs drain worker-2 && mdfs tasks";
pub(crate) const UNDRAIN: &str = "\
Examples:
  mdfs undrain worker-2";
pub(crate) const DECOMMISSION: &str = "\
Examples:
  mdfs decommission worker-2";
pub(crate) const RETIRE: &str = "\
Examples:
  mdfs retire worker-2
  mdfs retire worker-2 --lost";
pub(crate) const ANNOUNCE: &str = "\
Examples:
  mdfs announce worker-2 --for 20m
  mdfs announce worker-2 --for 0s";
pub(crate) const POLICY: &str = "\
Examples:
  mdfs policy
  mdfs policy --replicas 3
  mdfs policy --trash-keep 7d --repair-delay 10m";
pub(crate) const SCRUB: &str = "\
Examples:
  mdfs scrub --wait
  mdfs scrub --status";
pub(crate) const REBALANCE: &str = "\
Examples:
  mdfs rebalance && mdfs tasks";
pub(crate) const REPAIR: &str = "\
Examples:
  mdfs repair && mdfs tasks";
pub(crate) const ADMIN: &str = "\
Examples:
  mdfs admin bootstrap --worker http://worker-0:8081 --cluster-key-file cluster-key
  mdfs admin export records.jsonl
  mdfs admin export --tokens - | gzip > records.jsonl.gz
  mdfs admin import records.jsonl
  mdfs admin voters 5
  mdfs admin forget-voter worker-2 --lost
  mdfs admin recover --lost 0123456789abcdef0123456789abcdef --yes
  mdfs admin recover --finish";
pub(crate) const DOCTOR: &str = "\
Examples:
  mdfs doctor
  mdfs doctor -o json";
pub(crate) const COMPLETIONS: &str = "\
Examples:
  mdfs completions bash > ~/.local/share/bash-completion/completions/mdfs
  mdfs completions zsh > ~/.zfunc/_mdfs
  mdfs completions fish > ~/.config/fish/completions/mdfs.fish";
pub(crate) const MAN: &str = "\
Examples:
  mdfs man ~/.local/share/man/man1";
pub(crate) const MASTER: &str = "\
Examples:
  mdfs master --cluster-key-file cluster.key --root-token-file root.token --link-key-file link.key";
pub(crate) const OPERATOR: &str = "\
Examples:
  mdfs operator
  mdfs operator --namespace media";
pub(crate) const WORKER: &str = "\
Examples:
  mdfs worker --name worker-1 --data-dir /srv/disk1 --master http://mdfs-master:8080 \\
    --cluster-key-file cluster.key";
