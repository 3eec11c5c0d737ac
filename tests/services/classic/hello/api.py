"""Endpoints of hello.yaml."""

from datetime import datetime, timezone

from hello.errors import NobodyError, OutOfCoffeeError
from pymacaron import apipool
from pymacaron.auth import generate_token, get_user_token, get_userid
from pymacaron.crash import report_warning
from pymacaron.monitor import monitor

PEOPLE = {}


def do_hello(name, times):
    """Say hello."""
    return apipool.hello.Hello(message=" ".join(["Hello %s!" % name] * times))


def do_hello_with_auth():
    """Say hello to whom we know."""
    assert get_user_token()
    return apipool.hello.Hello(message="Hello %s!" % get_userid())


def do_login(credentials):
    """Give a token to everyone who knows the word."""
    if credentials.password != "sesame":
        report_warning("Somebody guesses", data={"password": credentials.password})
    return apipool.hello.Token(token=generate_token(credentials.user, data={"word": "sesame"}))


def do_hello_with_inheritance(question):
    """Answer by a method of the model's parent."""
    return question.to_reply()


def do_create_person(person):
    """Remember a person."""
    with monitor(kind="memory", method="create_person"):
        person.created = datetime(2020, 2, 29, 12, 30, tzinfo=timezone.utc)
        person.person_id = len(PEOPLE) + 1
        PEOPLE[person.person_id] = person.clone()
    return person


def do_get_person(person_id):
    """Look a person up."""
    if person_id not in PEOPLE:
        raise NobodyError("There is no person %s" % person_id)
    return PEOPLE[person_id]


def do_list_people(role=None):
    """List the people, all or those of a role."""
    people = apipool.hello.People(people=[p for p in PEOPLE.values() if role in (None, p.role)])
    assert people.get_model_name() == "People"
    assert people.get_model_api() == "hello"
    return people


def do_brew():
    """Fail as we know it can happen."""
    raise OutOfCoffeeError("No coffee left")


def do_crash():
    """Fail in an unexpected way."""
    raise Exception("OH! NO! I JUST DIED!!")
