open Docker_store
open Lwt.Infix
open Common

(* As on the page, which is compiled with OBuilder's own names in scope. *)
module Store = Page.Store

let with_sandbox f =
  with_base @@ fun store ->
  let reports = ref [] in
  let t = Store.of_store ~report:(fun line -> reports := line :: !reports) store in
  f store t { Sandbox.prefix = Store.prefix t; config = { network = "none" } } >|= fun () -> equal "reports" "" (String.concat "; " !reports)

let root = Obuilder_spec.root
let user uid gid = `Unix { Obuilder_spec.uid; gid }

(* Runs a step like OBuilder's builder: leases the caches before, and releases them after, whatever happens. *)
let step t sandbox ?(user = root) ?(base = "base") ?(caches = []) ~id ~log script =
  Store.build t ~base ~id @@ fun _dir ->
  let lent = ref [] in
  Lwt.finalize
    (fun () ->
      let lend (name, target) =
        Store.cache ~user t name >|= fun (source, release) ->
        lent := release :: !lent;
        source, target
      in
      Lwt_list.map_s lend caches >>= fun mounts ->
      Sandbox.run sandbox
        ~user:
          (match user with
          | `Unix { Obuilder_spec.uid; gid } -> uid, gid
          | `Windows _ -> 0, 0)
        ~mounts ~log ~id script)
    (fun () -> Lwt_list.iter_s (fun release -> release ()) !lent)

let must promise =
  promise >|= function
  | Ok () -> ()
  | Error (`Msg message) -> fail "%s" message
  | Error `Cancelled -> fail "cancelled"

let building () =
  with_sandbox @@ fun store t sandbox ->
  let runs = ref 0 and text = Buffer.create 10 in
  let build () =
    incr runs;
    must (step t sandbox ~id:"app" ~log:(Buffer.add_string text) "echo made; echo made >/made")
  in
  build () >>= fun () ->
  equal "what it wrote" "made\n" (Buffer.contents text);
  Store.result t "app" >>= fun result ->
  check "the result is there, in an empty directory" (result = Some (empty_dir store));
  equal "its files" "made\n" (look store ~base:"app" "cat /made");
  check "the tag is gone" (not (List.mem (Sandbox.tmp_image sandbox "app") (Engine.images (prefix store))));
  (* The base of another step, and a step that fails. *)
  must (step t sandbox ~base:"app" ~id:"more" ~log:ignore "cat /made >/more") >>= fun () ->
  Store.delete t "app" >>= fun () ->
  Store.delete t "app" >>= fun () ->
  Store.result t "app" >>= fun result ->
  check "gone" (result = None);
  step t sandbox ~id:"bad" ~log:ignore "exit 1" >>= fun failed ->
  check "its own error comes out"
    (match failed with
    | Error (`Msg _) -> true
    | Error `Cancelled | Ok () -> false);
  Store.result t "bad" >>= fun result ->
  check "no result" (result = None);
  Store.complete_deletes t >>= fun () ->
  Store.df t >|= fun free -> check "free space" (free > 0. && free <= 100.)

let import () =
  with_sandbox @@ fun store t sandbox ->
  (* OBuilder itself pulls and tags the base of a build. *)
  let work dir =
    equal "an empty directory" (empty_dir store) dir;
    Sandbox.must [ "tag"; Sandbox.image sandbox "base"; Sandbox.image sandbox "first" ] >|= Result.ok
  in
  Store.build t ~id:"first" work >>= fun built ->
  check "built" (built = Ok ());
  Store.result t "first" >>= fun result ->
  check "there" (result <> None);
  Store.build t ~id:"first" (fun _ -> fail "done again") >>= fun built ->
  check "a hit" (built = Ok ());
  Store.log_file t "first" >|= fun file ->
  check "its log is in the root" (Filename.dirname file = Filename.concat (Store.root t) "logs")

let failing () =
  with_sandbox @@ fun store t _ ->
  Store.build t ~base:"base" ~id:"app" (fun _ -> Lwt.return_error `Mine) >>= fun failed ->
  check "its own error" (failed = Error `Mine);
  Lwt.catch
    (fun () -> Store.build t ~base:"base" ~id:"app" (fun _ -> raise Exit) >|= fun _ -> fail "no exception")
    (function
      | Exit -> Lwt.return_unit
      | e -> Lwt.fail e)
  >>= fun () ->
  check "nothing is left" (only_base store);
  Lwt.catch
    (fun () -> Store.build t ~base:"nowhere" ~id:"app" (fun _ -> Lwt.return_ok ()) >|= fun _ -> fail "no exception")
    (function
      | Error.E { status = Not_found; _ } -> Lwt.return_unit
      | e -> Lwt.fail e)

(* The image's files at the mount point must not get into the cache, nor determine its owner. *)
let owner () =
  with_sandbox @@ fun _store t sandbox ->
  must (step t sandbox ~id:"home" ~log:ignore "mkdir /home; echo theirs >/home/file; chmod 700 /home") >>= fun () ->
  let seen = Buffer.create 100 in
  let look id user script =
    Buffer.clear seen;
    must (step t sandbox ~user ~base:"home" ~id ~caches:[ "c", "/home" ] ~log:(Buffer.add_string seen) script)
  in
  look "first" (user 1000 1001) "stat -c '%u:%g %a' /home; ls -A /home; echo mine >/home/mine" >>= fun () ->
  equal "empty, and the user's" "1000:1001 755\n" (Buffer.contents seen);
  look "second" (user 1000 1001) "stat -c '%u:%g' /home /home/mine; cat /home/*" >>= fun () ->
  equal "what the user made is there" "1000:1001\n1000:1001\nmine\n" (Buffer.contents seen);
  look "third" (user 7 8) "stat -c '%u:%g' /home" >>= fun () ->
  equal "the next user's" "7:8\n" (Buffer.contents seen);
  let hits, misses = Store.cache_stats t in
  equal_int "hits" 2 hits;
  equal_int "misses" 1 misses;
  Store.delete_cache t "c" >>= fun deleted ->
  check "deleted" (deleted = Ok ());
  Store.delete_cache t "c" >|= fun deleted -> check "absent is fine" (deleted = Ok ())

let contended () =
  with_base @@ fun store ->
  let reports = ref 0 in
  let t = Store.of_store ~report:(fun _ -> incr reports) store in
  (* A container that mounts the cache, like that of a cancelled sandbox. *)
  let other = prefix store ^ "-other" in
  let lend () =
    Store.cache ~user:root t "c" >>= fun (source, release) ->
    let mount = Printf.sprintf "type=volume,src=%s,dst=/c" source in
    Sandbox.must [ "create"; "--name"; other; "--mount"; mount; prefix store ^ "-image-base"; "true" ] >|= fun () ->
    List.hd (String.split_on_char ',' source), release
  in
  lend () >>= fun (volume, release) ->
  let removing = Lwt_unix.sleep 0.5 >>= fun () -> Sandbox.must [ "rm"; other ] in
  release () >>= fun () ->
  removing >>= fun () ->
  equal_int "it waited" 0 !reports;
  get_lwt (D.complete_deletes store) >>= fun () ->
  check "and gave it back" (not (List.mem volume (Engine.volumes (prefix store))));
  lend () >>= fun (_, release) ->
  let began = Unix.gettimeofday () in
  release () >>= fun () ->
  check "discarded after some seconds" (Unix.gettimeofday () -. began < 30.);
  equal_int "and reported" 1 !reports;
  Sandbox.must [ "rm"; other ]

let tests =
  [
    test "OBuilder's store: a sandbox of its kind builds, fails and builds on" building;
    test "OBuilder's store: a build without a base is what its function makes of it" import;
    test "OBuilder's store: a function that fails leaves nothing" failing;
    test "OBuilder's store: a cache is empty and its user's, whatever the image has there" owner;
    test "OBuilder's store: a cache is released when its container is removed, or discarded" contended;
  ]
