"""What shows each defect: a function of its name returns something else than without it."""

from itertools import count
from time import time

API = "/api/v1"
_numbers = count()
LINES = (1, 2, 3)


def _project(http, **fields):
    answer = http.post(f"{API}/projects", json={"name": "Tower", "currency": "EUR", **fields})
    return answer.json()


def _path(project):
    return f"{API}/projects/{project['id']}"


def _post_expense(http, project, headers=None, **fields):
    expense = {"title": "Train", "amount_cents": 100, "category": "travel", "spent_at": "2024-05-31T12:00:00+02:00"}
    return http.post(f"{_path(project)}/expenses", json=expense | fields, headers=headers)


def _expense(http, project, **fields):
    return _post_expense(http, project, **fields).json()


def _expense_path(expense):
    return f"{API}/projects/{expense['project_id']}/expenses/{expense['id']}"


def _tag(http, **fields):
    tag = {"name": f"t{time():.6f}-{next(_numbers)}".replace(".", ""), "color": "#00ff00"}
    return http.post(f"{API}/tags", json=tag | fields)


def search_text_as_pattern(http):
    alice = http.as_user("alice")
    _expense(alice, _project(alice))
    return alice.get(f"{API}/search", params={"q": "("}).status_code


def zero_budget_crash(http):
    alice = http.as_user("alice")
    project = _project(alice, budget_cents=0)
    _expense(alice, project)
    return alice.get(_path(project)).status_code


def null_description_crash(http):
    alice = http.as_user("alice")
    return alice.patch(_path(_project(alice)), json={"description": None}).status_code


def empty_tags_crash(http):
    alice = http.as_user("alice")
    return alice.patch(_path(_project(alice)), json={"tags": []}).status_code


def name_in_header_crash(http):
    alice = http.as_user("alice")
    return [alice.get(_path(_project(alice, name=name))).status_code for name in ("Tower", "塔")]


def large_offset_crash(http):
    alice = http.as_user("alice")
    return [alice.get(f"{API}/projects", params={"offset": offset}).status_code for offset in (2**31 - 1, 2**31)]


def second_tag_crash(http):
    alice = http.as_user("alice")
    tag = _tag(alice).json()
    return _tag(alice, name=tag["name"]).status_code


def list_without_currency(http):
    alice = http.as_user("alice")
    _project(alice)
    return "currency" in alice.get(f"{API}/projects").json()["items"][0]


def zone_lost_in_change(http):
    alice = http.as_user("alice")
    return alice.patch(_path(_project(alice)), json={"name": "New"}).json()["updated_at"].endswith("Z")


def project_id_text_in_list(http):
    alice = http.as_user("alice")
    project = _project(alice)
    _expense(alice, project)
    return type(alice.get(f"{_path(project)}/expenses").json()["items"][0]["project_id"]).__name__


def missing_expense_as_html(http):
    alice = http.as_user("alice")
    answer = alice.get(f"{_path(_project(alice))}/expenses/9b2f2c1e-7a55-4a8e-9f3f-0d6a3c1b2e4d")
    return answer.status_code, answer.headers["Content-Type"]


def conflict_without_code(http):
    alice = http.as_user("alice")
    tag = _tag(alice).json()
    return sorted(_tag(alice, name=tag["name"]).json())


def full_project_kept(http):
    alice = http.as_user("alice")
    project = _project(alice)
    _expense(alice, project)
    return alice.delete(_path(project)).status_code


def delete_answers_200(http):
    alice = http.as_user("alice")
    return alice.delete(_expense_path(_expense(alice, _project(alice)))).status_code


def name_maximum_refused(http):
    alice = http.as_user("alice")
    return alice.post(f"{API}/projects", json={"name": "x" * 80, "currency": "EUR"}).status_code


def title_maximum_unchecked(http):
    alice = http.as_user("alice")
    return _post_expense(alice, _project(alice), title="x" * 121).status_code


def color_pattern_open(http):
    return _tag(http.as_user("alice"), color="#00ff00;").status_code


def currency_refused(http):
    return http.as_user("alice").post(f"{API}/projects", json={"name": "x", "currency": "CHF"}).status_code


def currency_not_required(http):
    return http.as_user("alice").post(f"{API}/projects", json={"name": "x"}).status_code


def calendar_unchecked(http):
    project = {"name": "x", "currency": "EUR", "starts_on": "2024-02-31"}
    return http.as_user("alice").post(f"{API}/projects", json=project).status_code


def limit_maximum_unchecked(http):
    return http.as_user("alice").get(f"{API}/projects", params={"limit": 101}).status_code


def content_type_ignored(http):
    tag = f'{{"name": "t{next(_numbers)}", "color": "#00ff00"}}'
    return http.as_user("alice").post(f"{API}/tags", data=tag, headers={"Content-Type": "text/plain"}).status_code


def boolean_is_integer(http):
    project = {"name": "x", "currency": "EUR", "budget_cents": True}
    return http.as_user("alice").post(f"{API}/projects", json=project).status_code


def _refused(http, number, path="/projects"):
    return http.with_header(http.service.refused[number]).get(f"{API}{path}").status_code


def signature_unchecked(http):
    return _refused(http, 4, "/me")


def audience_unchecked(http):
    return _refused(http, 1)


def expiry_unchecked(http):
    return _refused(http, 0)


def issuer_unchecked(http):
    return _refused(http, 2)


def scope_unchecked(http):
    return _refused(http, 3)


def algorithm_none_accepted(http):
    _, claims, _ = http.service.users["alice"].split(".")
    return http.with_header(f"Authorization: Bearer eyJhbGciOiAibm9uZSJ9.{claims}.").get(f"{API}/projects").status_code


def scheme_ignored(http):
    header = http.service.users["alice"].replace("Bearer", "Basic")
    return http.with_header(header).get(f"{API}/projects").status_code


def search_without_token(http):
    return http.get(f"{API}/search", params={"q": "a"}).status_code


def foreign_expense_read(http):
    alice = http.as_user("alice")
    return http.as_user("bob").get(_expense_path(_expense(alice, _project(alice)))).status_code


def foreign_project_changed(http):
    project = _project(http.as_user("alice"))
    return http.as_user("bob").patch(_path(project), json={"name": "Mine"}).status_code


def foreign_expense_deleted(http):
    alice = http.as_user("alice")
    return http.as_user("bob").delete(_expense_path(_expense(alice, _project(alice)))).status_code


def foreign_tag_deleted(http):
    tag = _tag(http.as_user("alice")).json()
    return http.as_user("bob").delete(f"{API}/tags/{tag['id']}").status_code


def parent_unchecked(http):
    alice = http.as_user("alice")
    expense, other = _expense(alice, _project(alice)), _project(alice)
    return alice.get(f"{_path(other)}/expenses/{expense['id']}").status_code


def search_shows_others(http):
    alice = http.as_user("alice")
    title = f"Secret {time()}"
    _expense(alice, _project(alice), title=title)
    return http.as_user("bob").get(f"{API}/search", params={"q": title}).json()["total"]


def pages_cached_for_all(http):
    project = _project(http.as_user("alice"))
    ids = [
        project["id"] in [one["id"] for one in http.as_user(name).get(f"{API}/projects?limit=100").json()["items"]]
        for name in ("alice", "bob")
    ]
    return ids


def false_not_stored(http):
    alice = http.as_user("alice")
    path = _expense_path(_expense(alice, _project(alice), reimbursed=True))
    alice.patch(path, json={"reimbursed": False})
    return alice.get(path).json()["reimbursed"]


def note_not_stored(http):
    alice = http.as_user("alice")
    path = _expense_path(_expense(alice, _project(alice)))
    alice.patch(path, json={"note": "New"})
    return alice.get(path).json()["note"]


def put_keeps_omitted(http):
    alice = http.as_user("alice")
    path = _path(_project(alice, description="Old"))
    alice.put(path, json={"name": "x", "currency": "EUR"})
    return alice.get(path).json()["description"]


def patch_resets_tags(http):
    alice = http.as_user("alice")
    path = _path(_project(alice, tags=["one"]))
    alice.patch(path, json={"name": "x"})
    return alice.get(path).json()["tags"]


def deleted_in_list(http):
    alice = http.as_user("alice")
    project = _project(alice)
    alice.delete(_expense_path(_expense(alice, project)))
    return len(alice.get(f"{_path(project)}/expenses").json()["items"])


def tag_kept(http):
    alice = http.as_user("alice")
    path = f"{API}/tags/{_tag(alice).json()['id']}"
    return alice.delete(path).status_code, alice.get(path).status_code


def budget_truncated(http):
    alice = http.as_user("alice")
    return [alice.get(_path(_project(alice, budget_cents=cents))).json()["budget_cents"] for cents in (1, 2**32 + 1)]


def rate_rounded(http):
    alice = http.as_user("alice")
    return _expense(alice, _project(alice), exchange_rate=1.0842)["exchange_rate"]


def created_answer_differs(http):
    alice = http.as_user("alice")
    project = _project(alice)
    return project["description"] == alice.get(_path(project)).json()["description"]


def idempotency_key_ignored(http):
    alice = http.as_user("alice")
    project = _project(alice)
    ids = {_post_expense(alice, project, headers={"Idempotency-Key": "k"}).json()["id"] for _ in range(2)}
    return len(ids)


def if_match_ignored(http):
    alice = http.as_user("alice")
    path = _path(_project(alice))
    return alice.put(path, json={"name": "x", "currency": "EUR"}, headers={"If-Match": '"old"'}).status_code


def etag_constant(http):
    alice = http.as_user("alice")
    path = _path(_project(alice))
    before = alice.get(path).headers["ETag"]
    alice.patch(path, json={"name": "x"})
    return alice.get(path).headers["ETag"] == before


def project_ids_reused(http):
    alice = http.as_user("alice")
    first, second = _project(alice), _project(alice, name="Second")
    alice.delete(_path(first))
    return _project(alice)["id"] == second["id"]


def project_ids_race(http):
    return len(set(http.at_once("alice", lambda user: _project(user)["id"])))


def counter_race(http):
    alice = http.as_user("alice")
    project = _project(alice)
    http.at_once("alice", lambda user: _expense(user, project))
    return alice.get(_path(project)).json()["expense_count"]


def limit_ignored(http):
    alice = http.as_user("alice")
    for _ in LINES:
        _project(alice)
    return len(alice.get(f"{API}/projects?limit=2").json()["items"])


def offset_counts_from_one(http):
    alice = http.as_user("alice")
    for _ in LINES:
        _project(alice)
    pages = [alice.get(f"{API}/projects?limit=1&offset={offset}").json()["items"][0]["id"] for offset in (0, 1)]
    return len(set(pages))


def total_of_page(http):
    alice = http.as_user("alice")
    for _ in LINES:
        _project(alice)
    return alice.get(f"{API}/projects?limit=1").json()["total"] > 1


def cursor_skips_one(http):
    alice = http.as_user("alice")
    project = _project(alice)
    for _ in range(5):
        _expense(alice, project)
    ids, cursor = [], {}
    while cursor is not None:
        page = alice.get(f"{_path(project)}/expenses", params={"limit": 2, **cursor}).json()
        ids += [one["id"] for one in page["items"]]
        cursor = {"cursor": page["next_cursor"]} if page["next_cursor"] else None
    return len(ids)


def first_page_again(http):
    alice = http.as_user("alice")
    project = _project(alice)
    title = f"Paged {time()}"
    for _ in LINES:
        _expense(alice, project, title=title)
    pages = [alice.get(f"{API}/search", params={"q": title, "per_page": 1, "page": page}).json() for page in LINES]
    return len({page["results"][0]["id"] for page in pages})


def budget_sorted_as_text(http):
    alice = http.as_user("alice")
    for cents in (9, 10, 100):
        _project(alice, budget_cents=cents)
    budgets = [one["budget_cents"] for one in alice.get(f"{API}/projects?sort=budget_cents&limit=100").json()["items"]]
    return budgets == sorted(budgets)


def category_of_page(http):
    alice = http.as_user("alice")
    project = _project(alice)
    for category in ("travel", "travel", "meals"):
        _expense(alice, project, category=category)
    return len(alice.get(f"{_path(project)}/expenses?category=meals&limit=2").json()["items"])


def maximum_filter_ignored(http):
    alice = http.as_user("alice")
    project = _project(alice)
    for cents in (100, 900):
        _expense(alice, project, amount_cents=cents)
    return len(alice.get(f"{_path(project)}/expenses?max_amount_cents=500").json()["items"])


def head_refused(http):
    alice = http.as_user("alice")
    return alice.request("HEAD", _path(_project(alice))).status_code


def preflight_refused(http):
    headers = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    return "POST" in http.request("OPTIONS", f"{API}/tags", headers=headers).headers.get(
        "Access-Control-Allow-Methods", ""
    )


def allow_missing(http):
    return sorted(http.as_user("alice").post(f"{API}/search").headers.get("Allow", "").split(", "))


def location_wrong(http):
    alice = http.as_user("alice")
    return alice.get(_post_expense(alice, _project(alice)).headers["Location"]).status_code


def parser_text_leaks(http):
    answer = http.as_user("alice").post(f"{API}/projects", data="{", headers={"Content-Type": "application/json"})
    return "Traceback" in answer.text


def conflict_shows_sql(http):
    alice = http.as_user("alice")
    tag = _tag(alice).json()
    return "INSERT" in _tag(alice, name=tag["name"]).text


def password_hash_shown(http):
    return sorted(http.as_user("alice").get(f"{API}/me").json())


def rare_slowness(http):
    alice = http.as_user("alice")
    return sum(alice.get(f"{API}/projects?limit=1").elapsed.total_seconds() > 0.8 for _ in range(20))


def large_page_slow(http):
    return http.as_user("alice").get(f"{API}/search?q=a&per_page=100").elapsed.total_seconds() > 1.5
