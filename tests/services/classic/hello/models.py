"""Parents of models, by x-parent."""

from pymacaron import apipool


class Question:
    """What questions can do."""

    def to_reply(self):
        """Return the reply."""
        return apipool.hello.Hello(message="You said: %s" % self.question)
