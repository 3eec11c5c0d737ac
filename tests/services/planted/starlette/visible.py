"""What each defect of defects.yaml changes: a function of its name, which asks the service and returns what it saw."""

import time
import uuid


def _name(prefix="Project"):
    return f"{prefix} {uuid.uuid4().hex[:12]}"


def _create(http, **fields):
    """Create a project and return the answer."""
    return http.post("/projects", json={"name": _name(), "code": "VIS-1", **fields})


def _project(http, **fields):
    return "/projects/" + _create(http, **fields).json()["id"]


def _task(http, project, **fields):
    return http.post(project + "/tasks", json={"title": "Look", **fields}).json()


def _tasks(http, *rows):
    project = _project(http)
    for row in rows:
        _task(http, project, **row)
    return project


def _titles(http, project, query):
    return [task["title"] for task in http.get(f"{project}/tasks?{query}").json()["items"]]


def slug_needs_latin_name(http):
    return _create(http.as_user("alice"), name=_name("Проект")).status_code


def budget_divided_by_rate(http):
    return _create(http.as_user("alice"), budget_cents=100, hourly_rate=0).status_code


def patch_null_description_crashes(http):
    alice = http.as_user("alice")
    return alice.patch(_project(alice), json={"description": None}).status_code


def empty_patch_crashes(http):
    alice = http.as_user("alice")
    project = _project(alice)
    return alice.patch(f"{project}/tasks/{_task(alice, project)['id']}", json={}).status_code


def search_reads_patterns(http):
    return http.as_user("alice").get("/search", params={"q": "(1"}).status_code


def tasks_outlive_project(http):
    alice = http.as_user("alice")
    project, title = _project(alice), _name("Task")
    _task(alice, project, title=title)
    alice.delete(project)
    return alice.get("/search", params={"q": title}).status_code


def task_id_of_64_bits_crashes(http):
    alice = http.as_user("alice")
    return alice.get(f"{_project(alice)}/tasks/{2**63}").status_code


def duplicate_label_crashes(http):
    return http.as_user("alice").post("/labels", json={"slug": "urgent", "title": "Again"}).status_code


def list_lacks_updated_at(http):
    return sorted(http.as_user("alice").get("/projects?limit=1").json()["items"][0])


def task_count_null(http):
    return _create(http.as_user("alice")).json()["task_count"]


def created_at_without_zone(http):
    alice = http.as_user("alice")
    project = _project(alice)
    return alice.get(f"{project}/tasks/{_task(alice, project)['id']}").json()["created_at"][-1]


def put_creates(http):
    body = {"name": _name(), "code": "VIS-1"}
    return http.as_user("alice").put("/projects/prj_000000000000", json=body).status_code


def delete_answers_200(http):
    alice = http.as_user("alice")
    project = _project(alice)
    return alice.delete(f"{project}/tasks/{_task(alice, project)['id']}").status_code


def task_not_found_is_text(http):
    alice = http.as_user("alice")
    return alice.get(f"{_project(alice)}/tasks/999999999").headers["Content-Type"]


def precondition_error_without_code(http):
    alice = http.as_user("alice")
    answer = alice.patch(_project(alice), json={"tags": []}, headers={"If-Match": '"other"'})
    return sorted(answer.json()["error"])


def name_one_too_long(http):
    return _create(http.as_user("alice"), name=_name().ljust(81, "x")).status_code


def code_end_not_anchored(http):
    return _create(http.as_user("alice"), code="VIS-1 and more").status_code


def paused_refused(http):
    return _create(http.as_user("alice"), status="paused").status_code


def name_not_required(http):
    alice = http.as_user("alice")
    answer = alice.post("/projects", json={"code": "VIS-1"})
    if answer.ok:
        alice.delete(f"/projects/{answer.json()['id']}")
    return answer.status_code


def numbers_as_text_accepted(http):
    alice = http.as_user("alice")
    return alice.patch(_project(alice), json={"budget_cents": "12"}).status_code


def due_at_any_text(http):
    alice = http.as_user("alice")
    return alice.post(_project(alice) + "/tasks", json={"title": "Look", "due_at": "tomorrow"}).status_code


def flag_reads_anything(http):
    alice = http.as_user("alice")
    return alice.get(_project(alice) + "/tasks?done=perhaps").status_code


def search_without_key(http):
    return http.get("/search?q=step").status_code


def expired_key_accepted(http):
    return http.with_header(http.service.refused[0]).get("/me").status_code


def revoked_key_accepted(http):
    return http.with_header(http.service.refused[1]).get("/me").status_code


def other_product_key_accepted(http):
    return http.with_header(http.service.refused[2]).get("/me").status_code


def scheme_ignored(http):
    return http.with_header(http.service.users["alice"].replace("Bearer", "Basic")).get("/me").status_code


def key_prefix_is_enough(http):
    return http.with_header(http.service.users["alice"][:-4]).get("/me").status_code


def project_readable_by_all(http):
    return http.as_user("bob").get(_project(http.as_user("alice"))).status_code


def project_patchable_by_all(http):
    return http.as_user("bob").patch(_project(http.as_user("alice")), json={"tags": []}).status_code


def project_deletable_by_all(http):
    return http.as_user("bob").delete(_project(http.as_user("alice"))).status_code


def task_of_any_project(http):
    alice = http.as_user("alice")
    project = _project(alice)
    return http.as_user("bob").get(f"{project}/tasks/{_task(alice, project)['id']}").status_code


def status_filter_shows_all_owners(http):
    project = _create(http.as_user("alice"), status="done").json()["id"]
    bobs, cursor = [], None
    while not bobs or cursor:
        query = {"status": "done", "limit": 100} | ({"cursor": cursor} if cursor else {})
        page = http.as_user("bob").get("/projects", params=query).json()
        bobs += [None, *(item["id"] for item in page["items"])]
        cursor = page["next_cursor"]
    return project in bobs


def search_shows_others_tasks(http):
    alice = http.as_user("alice")
    title = _name("Task")
    _task(alice, _project(alice), title=title)
    return http.as_user("bob").get("/search", params={"q": title}).json()["total"]


def me_cached_across_users(http):
    return [http.as_user(name).get("/me").json()["id"] for name in ("alice", "bob")]


def label_deletable_by_all(http):
    slug = uuid.uuid4().hex[:20]
    http.as_user("alice").post("/labels", json={"slug": slug, "title": "Mine"})
    return http.as_user("bob").delete(f"/labels/{slug}").status_code


def task_creatable_by_all(http):
    return http.as_user("bob").post(_project(http.as_user("alice")) + "/tasks", json={"title": "Look"}).status_code


def newsletter_not_stored(http):
    alice = http.as_user("alice")
    alice.patch("/me", json={"newsletter": True})
    stored = alice.get("/me").json()["newsletter"]
    alice.patch("/me", json={"newsletter": False})
    return stored


def patch_forgets_tags(http):
    alice = http.as_user("alice")
    project = _project(alice)
    alice.patch(project, json={"tags": ["new"]})
    return alice.get(project).json()["tags"]


def patch_resets_settings(http):
    alice = http.as_user("alice")
    project = _project(alice, settings={"visibility": "team", "notify": False})
    alice.patch(project, json={"tags": ["new"]})
    return alice.get(project).json()["settings"]


def done_cannot_be_unset(http):
    alice = http.as_user("alice")
    project = _project(alice)
    task = f"{project}/tasks/{_task(alice, project, done=True)['id']}"
    alice.patch(task, json={"done": False})
    return alice.get(task).json()["done"]


def put_keeps_what_is_missing(http):
    alice = http.as_user("alice")
    project = _project(alice, budget_cents=500)
    alice.put(project, json={"name": _name(), "code": "VIS-2"})
    return alice.get(project).json()["budget_cents"]


def title_stored_short(http):
    alice = http.as_user("alice")
    project = _project(alice)
    task = _task(alice, project, title="x" * 100)
    return len(alice.get(f"{project}/tasks/{task['id']}").json()["title"])


def budget_in_32_bits(http):
    return _create(http.as_user("alice"), budget_cents=2**31).json()["budget_cents"]


def delete_keeps_task(http):
    alice = http.as_user("alice")
    project = _project(alice)
    task = f"{project}/tasks/{_task(alice, project)['id']}"
    alice.delete(task)
    return alice.get(task).status_code


def deleted_label_stays(http):
    alice = http.as_user("alice")
    slug = uuid.uuid4().hex[:20]
    alice.post("/labels", json={"slug": slug, "title": "Mine"})
    alice.delete(f"/labels/{slug}")
    return alice.get(f"/labels/{slug}").status_code


def idempotency_key_ignored(http):
    alice = http.as_user("alice")
    body, headers = {"name": _name(), "code": "VIS-1"}, {"Idempotency-Key": uuid.uuid4().hex}
    answers = [alice.post("/projects", json=body, headers=headers) for _ in range(2)]
    return [answer.status_code for answer in answers], answers[0].json().get("id") == answers[1].json().get("id")


def if_match_ignored(http):
    alice = http.as_user("alice")
    body = {"name": _name(), "code": "VIS-1"}
    return alice.put(_project(alice), json=body, headers={"If-Match": '"other"'}).status_code


def etag_constant(http):
    alice = http.as_user("alice")
    project = _project(alice)
    before = alice.get(project).headers["ETag"]
    alice.patch(project, json={"tags": ["new"]})
    return alice.get(project).headers["ETag"] == before


def race_in_patch(http):
    alice = http.as_user("alice")
    project = _project(alice)
    etag = {"If-Match": alice.get(project).headers["ETag"]}
    changes = iter([{"tags": [str(number)]} for number in range(8)])
    answers = http.at_once("alice", lambda user: user.patch(project, json=next(changes), headers=etag))
    return sum(answer.ok for answer in answers)


def task_ids_collide(http):
    project = _project(http.as_user("alice"))
    tasks = http.at_once("alice", lambda user: _task(user, project))
    return len({task["id"] for task in tasks})


def votes_get_lost(http):
    alice = http.as_user("alice")
    project = _project(alice)
    task = f"{project}/tasks/{_task(alice, project)['id']}"
    http.at_once("alice", lambda user: user.post(task + "/votes"))
    return alice.get(task).json()["votes"]


def cursor_skips_one(http):
    alice = http.as_user("alice")
    made = [_create(alice, status="paused").json()["id"] for _ in range(3)]
    seen, cursor = [], None
    while not seen or cursor:
        query = {"status": "paused", "limit": 1} | ({"cursor": cursor} if cursor else {})
        page = alice.get("/projects", params=query).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    for project in made:
        alice.delete(f"/projects/{project}")
    return [project in seen for project in made]


def last_page_lost(http):
    alice = http.as_user("alice")
    made = [_create(alice, status="paused").json()["id"] for _ in range(3)]
    page = alice.get("/projects?status=paused&limit=2").json()
    for project in made:
        alice.delete(f"/projects/{project}")
    return page["next_cursor"] is None


def status_filter_ignored(http):
    alice = http.as_user("alice")
    project = _project(alice)
    items = alice.get("/projects?status=active&limit=100").json()["items"]
    alice.delete(project)
    return {item["status"] for item in items}


def limit_ignored(http):
    return len(_titles(http.as_user("alice"), _tasks(http.as_user("alice"), {}, {}, {}), "limit=2"))


def offset_one_less(http):
    alice = http.as_user("alice")
    return _titles(alice, _tasks(alice, {"title": "1"}, {"title": "2"}, {"title": "3"}), "offset=1")


def total_before_filter(http):
    alice = http.as_user("alice")
    return alice.get(_tasks(alice, {}, {"done": True}) + "/tasks?done=true").json()["total"]


def effort_sorted_as_text(http):
    alice = http.as_user("alice")
    rows = [{"title": str(minutes), "effort_minutes": minutes} for minutes in (9, 10, 100)]
    return _titles(alice, _tasks(alice, *rows), "sort=effort_minutes")


def minus_ignored(http):
    alice = http.as_user("alice")
    return _titles(alice, _tasks(alice, {"title": "a"}, {"title": "b"}), "sort=-title")


def head_refused(http):
    alice = http.as_user("alice")
    project = _project(alice)
    return alice.request("HEAD", f"{project}/tasks/{_task(alice, project)['id']}").status_code


def preflight_refuses_patch(http):
    headers = {"Origin": "https://example.com", "Access-Control-Request-Method": "PATCH"}
    return http.request("OPTIONS", "/projects/prj_000000000000", headers=headers).status_code


def allow_missing(http):
    return http.as_user("alice").delete("/projects").headers.get("Allow")


def media_type_ignored(http):
    body = '{"slug": "urgent", "title": "Again"}'
    headers = {"Content-Type": "text/plain"}
    return http.as_user("alice").post("/labels", data=body, headers=headers).status_code


def accept_ignored(http):
    alice = http.as_user("alice")
    return alice.get(_project(alice) + "/export", headers={"Accept": "text/csv"}).headers["Content-Type"]


def location_wrong(http):
    alice = http.as_user("alice")
    return alice.get(_create(alice).headers["Location"]).status_code


def one_read_in_twenty_slow(http):
    alice = http.as_user("alice")
    project = _project(alice)
    started = time.monotonic()
    for _ in range(20):
        alice.get(project)
    return time.monotonic() - started > 0.9


def large_limit_slow(http):
    started = time.monotonic()
    http.as_user("alice").get("/projects?limit=100")
    return time.monotonic() - started > 0.9


def malformed_body_shows_trace(http):
    headers = {"Content-Type": "application/json"}
    return "Traceback" in http.as_user("alice").post("/projects", data='{"name": ', headers=headers).text


def conflict_shows_sql(http):
    alice = http.as_user("alice")
    body = {"name": _name(), "code": "VIS-1"}
    alice.post("/projects", json=body)
    return "INSERT" in alice.post("/projects", json=body).text


def me_shows_password_hash(http):
    return sorted(http.as_user("alice").get("/me").json())
