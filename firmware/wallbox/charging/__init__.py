"""The charge itself: control pilot, contactor, session and the current that is offered."""
