// Registration, login, and who am I.
import { json, Refused } from './answers';
import type { Call } from './call';
import { first, insert, isTaken, write } from './database';
import { dashed, newId, now, time } from './forms';
import type { UsersRow } from './rows';
import { newToken, passwordHash, passwordMatches } from './security';
import { orNull, text } from './shapes';

const REGISTRATION = {
  email: { reads: text(0, 320, /^[^@\s]+@[^@\s]+$/) },
  username: { reads: text(2, 64, /^\S+$/) },
  password: { reads: text(10, 200) },
  name: { reads: orNull(text(0, 200)), or: null },
};
const LOGIN = { email: { reads: text() }, password: { reads: text() } };
const QUOTA = 5 * 2 ** 30; // bytes

type View = Pick<UsersRow, 'id' | 'email' | 'username' | 'name' | 'role' | 'created_at'>;

function view({ id, email, username, name, role, created_at }: View): unknown {
  return { id: dashed(id), email, username, name, role, created_at: time(created_at) };
}

/** A new account with its settings. */
export async function register(call: Call): Promise<Response> {
  const { email, username, password, name } = call.whole(REGISTRATION);
  const id = newId();
  const times = { created_at: now(), updated_at: now() };
  const user = { id, email, username, hashed_password: await passwordHash(password), name, role: 'member', ...times };
  const flags = { is_active: 1, is_superuser: 0, onboarding_completed: 0 };
  const settings = {
    ...{ id: newId(), user_id: id, theme: 'system', notifications_enabled: 1, default_work_duration: 25 },
    ...{ default_break_duration: 5, local_llm_enabled: 0, storage_quota_bytes: QUOTA, ...times },
  };
  const { database } = call;
  try {
    await write(database, [
      insert(database, 'users', { ...user, ...flags }),
      insert(database, 'user_settings', settings),
    ]);
  } catch (error) {
    if (!isTaken(error)) throw error;
    throw new Refused(400, 'Email or username already registered');
  }
  return json(view(user), 201);
}

/** A token for an address and its password.  Only reads: it works while D1 takes no writes. */
export async function login(call: Call): Promise<Response> {
  const { email, password } = call.whole(LOGIN);
  const user = await first<UsersRow>(call.database, 'SELECT * FROM users WHERE lower(email) = lower(?)', email);
  if (user === null || !(await passwordMatches(password, user.hashed_password)) || !user.is_active) {
    throw new Refused(401, 'Invalid credentials');
  }
  return json({ access_token: await newToken(call.environment, user), token_type: 'bearer' });
}

export async function me(call: Call): Promise<Response> {
  return json(view(await call.user()));
}
